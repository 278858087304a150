import { useQuery } from '@tanstack/react-query';
import { useLayoutEffect, useRef, useState, type UIEvent } from 'react';

import { api, ok, type JobWhole, type LogLine } from '../lib/api';
import { clockTime, utcTime } from '../lib/format';
import { isFinal } from '../lib/patch';
import { Empty, Loaded, Panel } from '../ui/panel';

const PAGE = 200;
const KEPT = 5000;
const AT_END = 8; // pixels
const COLOURS: Record<LogLine['level'], string> = { debug: 'text-muted', info: '', warning: 'text-warning', error: 'text-bad' };

interface Log {
  lines: LogLine[];
  cursor: string | undefined;
}

/** The log, followed while the job runs: what is there is not read twice. */
export function JobLog({ job }: { job: JobWhole }) {
  const log = useRef<Log>({ lines: [], cursor: undefined });
  const [follow, setFollow] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  const query = useQuery({
    queryKey: ['logs', job.id, job.attempt, isFinal(job.status)],
    queryFn: async () => {
      for (;;) {
        const { lines, cursor } = log.current;
        const page = await ok(api.GET('/jobs/{id}/logs', { params: { path: { id: job.id }, query: { limit: PAGE, ...(cursor ? { cursor } : {}) } } }));
        // the last page is read again until there is one after it
        if (page.next_cursor === null) {
          return [...lines, ...page.items].slice(-KEPT);
        }
        log.current = { lines: [...lines, ...page.items].slice(-KEPT), cursor: page.next_cursor };
      }
    },
    refetchInterval: isFinal(job.status) ? false : 2000,
    placeholderData: (before) => before,
  });
  const lines = query.data ?? [];
  // before it is painted: else the page would be seen, and told, not to be at the end
  useLayoutEffect(() => {
    if (follow && box.current) {
      box.current.scrollTop = box.current.scrollHeight;
    }
  }, [query.data, follow]);
  // who scrolls back reads there, and is not carried off by the next lines
  const scrolled = ({ currentTarget: { scrollHeight, scrollTop, clientHeight } }: UIEvent) => setFollow(scrollHeight - scrollTop - clientHeight < AT_END);
  return (
    <Panel
      title="Log"
      aside={
        !isFinal(job.status) && (
          <label className="flex items-center gap-2 text-xs text-muted">
            <input type="checkbox" checked={follow} onChange={() => setFollow(!follow)} />
            Follow
          </label>
        )
      }
    >
      {lines.length ? (
        // it scrolls, so it can be reached with the keyboard
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div ref={box} role="log" aria-label="Log" tabIndex={0} onScroll={scrolled} className="max-h-96 overflow-auto px-4 py-3 font-mono text-xs">
          {lines.map((line, index) => (
            <div key={index} className="flex gap-3">
              <span className="shrink-0 text-muted" title={`${utcTime(line.timestamp)}, attempt ${line.attempt}`}>{clockTime(line.timestamp)}</span>
              <span className={`whitespace-pre-wrap break-all ${COLOURS[line.level]}`}>{line.message}</span>
            </div>
          ))}
        </div>
      ) : !query.data ? (
        <Loaded query={query}>{() => null}</Loaded>
      ) : (
        <Empty>{isFinal(job.status) ? 'It wrote no log.' : 'Nothing yet.'}</Empty>
      )}
    </Panel>
  );
}
