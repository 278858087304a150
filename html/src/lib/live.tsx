// What happens now: feeds the query cache, the feed and the counters of the last seconds from the one event stream.
import { QueryClient, type InfiniteData } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';

import { ApiError, type Event, type JobWhole } from './api';
import { FEED, type Batch } from './coalesce';
import { Ends } from './ends';
import { isFinal, patchJob, patchPages, type JobPage } from './patch';
import { EventStream, type StreamState } from './stream';
import { throttle } from './throttle';

export const queryClient = new QueryClient({
  defaultOptions: {
    // "always": where the browser thinks that there is no network, this host may still be reached; else what is clicked
    // would wait without a word, and be done later
    mutations: { networkMode: 'always' },
    queries: {
      networkMode: 'always',
      refetchOnReconnect: true,
      staleTime: 5_000,
      retry: (failures, error) => (error instanceof ApiError ? [429, 502, 503].includes(error.status) && failures < 4 : failures < 4),
      retryDelay: (failures, error) =>
        (error instanceof ApiError && error.retryAfter ? error.retryAfter : Math.min(2 ** failures, 15)) * 1000,
    },
  },
});

class Live {
  feed: Event[] = [];
  readonly ends = new Ends();
  private readonly followers = new Set<(jobs: Batch['jobs']) => void>();
  private readonly listeners = new Set<() => void>();
  private version = 0;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  snapshot = (): number => this.version;

  /** Called with what changed in every batch. */
  follow(follower: (jobs: Batch['jobs']) => void): () => void {
    this.followers.add(follower);
    return () => this.followers.delete(follower);
  }

  add(batch: Batch): void {
    this.feed = [...this.feed, ...batch.feed].slice(-FEED);
    this.followers.forEach((follower) => follower(batch.jobs));
    this.changed();
  }

  /** Of the next one who signs in nothing is known. */
  clear(): void {
    this.feed = [];
    this.ends.forget();
    recent.clear();
    this.changed();
  }

  private changed(): void {
    this.version++;
    this.listeners.forEach((listener) => listener());
  }
}

export const live = new Live();

/** Of a hidden page it is only noted that it is old: it is read again when somebody looks. */
function readAgain(...kinds: string[]): void {
  for (const kind of kinds) {
    void queryClient.invalidateQueries({ queryKey: [kind], refetchType: document.hidden ? 'none' : 'active' });
  }
}

type JobList = InfiniteData<JobPage>;

const PAGES_READ_AGAIN = 10;

/** Lists are read again page by page, and the limits count each: of a long one the beginning is kept. */
export function readJobsAgain(): void {
  for (const [key, data] of queryClient.getQueriesData<JobList>({ queryKey: ['jobs'] })) {
    if (data && data.pages.length > PAGES_READ_AGAIN) {
      queryClient.setQueryData<JobList>(key, {
        pages: data.pages.slice(0, PAGES_READ_AGAIN), pageParams: data.pageParams.slice(0, PAGES_READ_AGAIN),
      });
    }
  }
  void queryClient.invalidateQueries({ queryKey: ['jobs'] });
}

// The limits count the dashboard like everybody else: numbers are read at once, then at most every so often.
const refreshNumbers = throttle(2500, () => readAgain('stats'));
const refreshSlowNumbers = throttle(10_000, () => readAgain('summary', 'queues', 'history', 'recent-failures'));
const refreshWorkers = throttle(2000, () => readAgain('workers'));
const refreshJob = throttle(1500, () => readAgain('job'));
const resync = throttle(5000, () => {
  live.ends.forget();
  readJobsAgain();
  void queryClient.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'jobs' });
});

const RECENT = 5000;
/** The newest events of the last seconds, oldest first. */
const recent: Batch['jobs'] = new Map();

function remember(events: Batch['jobs']): void {
  for (const [id, event] of events) {
    recent.delete(id);
    recent.set(id, event);
  }
  for (const id of recent.keys()) {
    if (recent.size <= RECENT) {
      break;
    }
    recent.delete(id);
  }
}

/** Once, when an event says that the job has ended. */
export function whenEnded(id: string, work: () => void): void {
  const has = (jobs: Batch['jobs']): boolean => isFinal(jobs.get(id)?.status ?? '');
  if (has(recent)) {
    work();
    return;
  }
  const stop = live.follow((jobs) => {
    if (has(jobs)) {
      stop();
      work();
    }
  });
}

function patchLists(events: Batch['jobs']): void {
  for (const [key, data] of queryClient.getQueriesData<JobList>({ queryKey: ['jobs'] })) {
    const pages = data && patchPages(data.pages, events);
    if (data && pages && pages !== data.pages) {
      // the list is no newer for it: what is new or gone is not in the events
      queryClient.setQueryData<JobList>(key, { ...data, pages }, { updatedAt: queryClient.getQueryState(key)?.dataUpdatedAt });
    }
  }
}

// An answer that was on its way when events came is older than they are, and the next page of a list brings the pages before
// it back as they were when it was asked for.
queryClient.getQueryCache().subscribe((change) => {
  if (change.type === 'updated' && change.action.type === 'success' && !change.action.manual) {
    const [kind] = change.query.queryKey as readonly unknown[];
    if (kind === 'jobs') {
      patchLists(recent);
    } else if (kind === 'job') {
      const job = change.query.state.data as JobWhole;
      const event = recent.get(job.id);
      if (event && patchJob(job, event).status !== job.status) {
        refreshJob();
      }
    }
  }
});

function apply(batch: Batch): void {
  live.add(batch);
  if (batch.jobs.size) {
    remember(batch.jobs);
    patchLists(batch.jobs);
    for (const [, job] of queryClient.getQueriesData<JobWhole>({ queryKey: ['job'] })) {
      const event = job && batch.jobs.get(job.id);
      if (event) {
        queryClient.setQueryData<JobWhole>(['job', job.id], patchJob(job, event));
        // results, errors and the exact times are not in the event
        if (event.status !== job.status || isFinal(event.status)) {
          refreshJob();
        }
      }
    }
    refreshNumbers();
    refreshSlowNumbers();
  }
  if (batch.workers) {
    refreshWorkers();
  }
  if (batch.overflow) {
    resync();
  }
}

export const stream = new EventStream(apply, resync, (event) => live.ends.take(event));

let before: StreamState = stream.state;
stream.subscribe(() => {
  // what was read before anybody listened may be older than the first event
  if (before === 'connecting' && stream.state === 'live') {
    readJobsAgain();
    void queryClient.invalidateQueries({ queryKey: ['job'] });
  }
  before = stream.state;
});

export function useStreamState(): StreamState {
  return useSyncExternalStore(stream.subscribe, () => stream.state);
}

/** Renders again with every batch of events. */
export function useLive(): Live {
  useSyncExternalStore(live.subscribe, live.snapshot);
  return live;
}
