import type { ReactNode } from 'react';

import { explain } from '../lib/api';

export function Panel({ title, aside, children, className = '' }: { title: string; aside?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section className={`panel ${className}`} aria-label={title}>
      <header className="flex min-h-11 flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-2">
        <h2>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

export function PageHead({ title, aside, note }: { title: ReactNode; aside?: ReactNode; note?: ReactNode }) {
  return (
    <div className="mb-4 flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
      <div className="min-w-0 flex-1 basis-40">
        <h1 className="[overflow-wrap:anywhere]">{title}</h1>
        {note && <p className="text-muted">{note}</p>}
      </div>
      {aside && <div className="flex flex-wrap items-center gap-2">{aside}</div>}
    </div>
  );
}

export function Empty({ children }: { children: ReactNode }) {
  return <div className="px-4 py-8 text-center text-muted">{children}</div>;
}

interface Query<T> {
  data: T | undefined;
  isError: boolean;
  error: unknown;
  refetch: () => unknown;
}

/** Why something is not there. */
export function Failed({ query }: { query: Pick<Query<unknown>, 'error' | 'refetch'> }) {
  return (
    <div role="alert" className="space-y-3 px-4 py-12 text-center">
      <p className="text-bad">{explain(query.error)}</p>
      <button type="button" className="button" onClick={() => void query.refetch()}>
        Try again
      </button>
    </div>
  );
}

/** What a query has, or that it is on its way, or why it is not there. */
export function Loaded<T>({ query, children }: { query: Query<T>; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) {
    return (
      <>
        {query.isError && <p role="status" className="px-4 py-2 text-xs text-warning">Not up to date: {explain(query.error)}</p>}
        {children(query.data)}
      </>
    );
  }
  if (query.isError) {
    return <Failed query={query} />;
  }
  return <Loading />;
}

export function Loading() {
  return (
    <div role="status" className="space-y-2 p-4">
      <span className="sr-only">Loading</span>
      {['w-2/3', 'w-1/2', 'w-3/5'].map((width) => (
        <div key={width} className={`breathe h-4 rounded bg-raised ${width}`} />
      ))}
    </div>
  );
}
