// What happens now: feeds the query cache, the feed and the counters of the last minutes from the one event stream.
import { QueryClient, type InfiniteData } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';

import { ApiError, type Event, type JobWhole } from './api';
import { FEED, type Batch } from './coalesce';
import { isFinal, patchJob, patchPages, type JobPage } from './patch';
import { EventStream, type StreamState } from './stream';
import { throttle } from './throttle';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (failures, error) => (error instanceof ApiError ? [429, 502, 503].includes(error.status) && failures < 4 : failures < 4),
      retryDelay: (failures, error) =>
        (error instanceof ApiError && error.retryAfter ? error.retryAfter : Math.min(2 ** failures, 15)) * 1000,
    },
  },
});

const SECONDS = 120;

/** What ended in one second. */
export interface Second {
  at: number;
  succeeded: number;
  failed: number;
  durations: number[];
}

class Live {
  feed: Event[] = [];
  seconds: Second[] = [];
  /** jobs submitted since somebody last looked at the list */
  arrived = 0;
  private readonly listeners = new Set<() => void>();
  private version = 0;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  snapshot = (): number => this.version;

  add(batch: Batch): void {
    const at = Math.floor(Date.now() / 1000);
    let second = this.seconds.at(-1);
    if (second?.at !== at) {
      second = { at, succeeded: 0, failed: 0, durations: [] };
      this.seconds.push(second);
      this.seconds = this.seconds.filter((old) => old.at > at - SECONDS);
    }
    second.succeeded += batch.counts.get('job_success') ?? 0;
    second.failed += batch.counts.get('job_failed') ?? 0;
    // a sample is enough for a quantile
    second.durations.push(...batch.durations.slice(0, 500 - second.durations.length));
    this.arrived += batch.counts.get('job_queued') ?? 0;
    this.feed = [...this.feed, ...batch.feed].slice(-FEED);
    this.changed();
  }

  seenArrivals(): void {
    this.arrived = 0;
    this.changed();
  }

  private changed(): void {
    this.version++;
    this.listeners.forEach((listener) => listener());
  }
}

export const live = new Live();

// The limits count the dashboard like everybody else: numbers are read at once, then at most every so often.
const refreshNumbers = throttle(2500, () => {
  void queryClient.invalidateQueries({ queryKey: ['stats'] });
});
const refreshSlowNumbers = throttle(10_000, () => {
  for (const key of ['summary', 'queues', 'history', 'recent-failures']) {
    void queryClient.invalidateQueries({ queryKey: [key] });
  }
});
const refreshWorkers = throttle(2000, () => {
  void queryClient.invalidateQueries({ queryKey: ['workers'] });
});
const refreshJob = throttle(1500, () => {
  void queryClient.invalidateQueries({ queryKey: ['job'] });
});
const resync = throttle(5000, () => {
  void queryClient.invalidateQueries();
});

function apply(batch: Batch): void {
  live.add(batch);
  if (batch.jobs.size) {
    queryClient.setQueriesData<InfiniteData<JobPage>>({ queryKey: ['jobs'] }, (data) => {
      const pages = data && patchPages(data.pages, batch.jobs);
      return data && pages !== data.pages ? { ...data, pages: pages ?? [] } : data;
    });
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

export const stream = new EventStream(apply, resync);

let before: StreamState = stream.state;
stream.subscribe(() => {
  // what was read before anybody listened may be older than the first event
  if (before === 'connecting' && stream.state === 'live') {
    void queryClient.invalidateQueries({ queryKey: ['jobs'] });
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
