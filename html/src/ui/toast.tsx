import { useSyncExternalStore } from 'react';
import { Link } from 'wouter';

import { explain } from '../lib/api';

/** Where there is more about it. */
interface More {
  href: string;
  words: string;
}

interface Toast {
  id: number;
  text: string;
  bad: boolean;
  more: More | undefined;
}

let toasts: Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(value: Toast[]): void {
  toasts = value;
  listeners.forEach((listener) => listener());
}

function add(text: string, bad: boolean, more?: More): void {
  const id = next++;
  set([...toasts.slice(-3), { id, text, bad, more }]);
  setTimeout(() => set(toasts.filter((toast) => toast.id !== id)), bad || more ? 9000 : 4000);
}

export const say = (text: string, more?: More): void => add(text, false, more);
export const complain = (error: unknown): void => add(explain(error), true);

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div aria-live="polite" className="pointer-events-none fixed inset-x-3 bottom-3 z-50 flex flex-col items-end gap-2">
      {shown.map((toast) => (
        <div
          key={toast.id}
          role={toast.bad ? 'alert' : 'status'}
          className={`arrive pointer-events-auto flex max-w-md items-start gap-3 break-words rounded-lg border bg-surface px-3 py-2 shadow-lg ${toast.bad ? 'border-bad text-bad' : 'border-line'}`}
        >
          <span className="min-w-0">
            {toast.text} {toast.more && <Link href={toast.more.href} className="font-medium underline underline-offset-2">{toast.more.words}</Link>}
          </span>
          <button type="button" aria-label="Dismiss" className="text-muted hover:text-ink" onClick={() => set(toasts.filter((one) => one.id !== toast.id))}>
            ✕
          </button>
        </div>
      ))}
    </div>
  );
}
