import { useSyncExternalStore } from 'react';

import { serverNow } from '../lib/clock';
import { duration, localTime, relative, utcTime } from '../lib/format';

// one clock for the whole page
let now = serverNow();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = serverNow();
    listeners.forEach((one) => one());
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (!listeners.size) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** It stands still while nobody looks at it. */
function snapshot(): number {
  if (!timer && Math.abs(serverNow() - now) > 1000) {
    now = serverNow();
  }
  return now;
}

/** The server's time, a second precise. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, snapshot);
}

/** When it was, in words or in local time; UTC when pointed at. */
export function Time({ at, exact }: { at: string | null | undefined; exact?: boolean }) {
  const current = useNow();
  if (!at) {
    return <span className="text-muted">–</span>;
  }
  return (
    <time dateTime={at} title={exact ? utcTime(at) : `${localTime(at)}\n${utcTime(at)}`} className={exact ? '' : 'whitespace-nowrap'}>
      {exact ? localTime(at) : relative(at, current)}
    </time>
  );
}

/** How long it has run, growing while it runs. */
export function Elapsed({ since, seconds }: { since: string | null; seconds: number | null }) {
  const current = useNow();
  if (seconds !== null || !since) {
    return <>{duration(seconds)}</>;
  }
  return <>{duration(Math.max(0, Math.round((current - new Date(since).getTime()) / 1000)))}</>;
}
