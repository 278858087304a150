// Thousands of events a second become one batch per frame: of each job only its newest event, of all of them the newest few
// for the feed, and counts. What is kept between two frames is bounded, also while the tab is hidden and has no frames.
import type { Event } from './api';

export const FEED = 200;
const JOBS = 5000;

export type JobEvent = NonNullable<Event['job']>;

export interface Batch {
  /** of each job its newest event */
  jobs: Map<string, JobEvent & { ts: string }>;
  /** the newest events, oldest first, at most FEED */
  feed: Event[];
  /** how many there were of each kind */
  counts: Map<string, number>;
  /** of the successes */
  durations: number[];
  workers: boolean;
  /** more jobs changed than were kept: read again */
  overflow: boolean;
}

export function emptyBatch(): Batch {
  return { jobs: new Map(), feed: [], counts: new Map(), durations: [], workers: false, overflow: false };
}

export function addEvent(batch: Batch, event: Event): void {
  batch.counts.set(event.event, (batch.counts.get(event.event) ?? 0) + 1);
  if (event.event !== 'job_progress') {
    batch.feed.push(event);
    if (batch.feed.length > FEED * 2) {
      batch.feed.splice(0, FEED);
    }
  }
  if (!event.job) {
    batch.workers = true;
    return;
  }
  if (event.job.duration_seconds !== null && event.event === 'job_success' && batch.durations.length < JOBS) {
    batch.durations.push(event.job.duration_seconds);
  }
  if (batch.jobs.size < JOBS || batch.jobs.has(event.job.id)) {
    batch.jobs.set(event.job.id, { ...event.job, ts: event.ts });
  } else {
    batch.overflow = true;
  }
}

export function closeBatch(batch: Batch): Batch {
  batch.feed = batch.feed.slice(-FEED);
  return batch;
}
