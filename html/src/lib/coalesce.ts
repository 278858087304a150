// Thousands of events a second become one batch per frame: of each job only its newest event, of all of them the newest few
// for the feed. What is kept between two frames is bounded, also while the tab is hidden and has no frames.
import type { Event } from './api';

export const FEED = 200;
const JOBS = 5000;

export type JobEvent = NonNullable<Event['job']>;

/** The newest event of a job, and whether it was queued in this batch. */
export type NewestEvent = JobEvent & { ts: string; queued: boolean };

export interface Batch {
  /** of each job its newest event */
  jobs: Map<string, NewestEvent>;
  /** the newest events, oldest first, at most FEED */
  feed: Event[];
  workers: boolean;
  /** more jobs changed than were kept: read again */
  overflow: boolean;
}

export function emptyBatch(): Batch {
  return { jobs: new Map(), feed: [], workers: false, overflow: false };
}

export function addEvent(batch: Batch, event: Event): void {
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
  const before = batch.jobs.get(event.job.id);
  if (before || batch.jobs.size < JOBS) {
    batch.jobs.set(event.job.id, { ...event.job, ts: event.ts, queued: before?.queued === true || event.event === 'job_queued' });
  } else {
    batch.overflow = true;
  }
}

export function closeBatch(batch: Batch): Batch {
  batch.feed = batch.feed.slice(-FEED);
  return batch;
}
