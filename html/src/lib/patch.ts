// What an event changes in what was read before. Nothing is moved: a row keeps its place, whatever happens to its job.
import type { Job, JobWhole } from './api';
import type { JobEvent } from './coalesce';

const FINAL = new Set(['SUCCESS', 'FAILED', 'DEAD_LETTER', 'CANCELLED']);

export const isFinal = (status: string): boolean => FINAL.has(status);

/** The job after the event; the same object when the event says nothing new, or is older than what was read. */
export function patchJob<T extends Job | JobWhole>(job: T, event: JobEvent & { ts: string }): T {
  if (event.ts <= job.updated_at) {
    return job;
  }
  const running = event.status === 'RUNNING';
  return {
    ...job,
    status: event.status,
    attempt: event.attempt,
    progress: event.progress,
    error: event.error,
    duration_seconds: event.duration_seconds,
    updated_at: event.ts,
    started_at: running && job.status !== 'RUNNING' ? event.ts : job.started_at,
    finished_at: isFinal(event.status) ? event.ts : running ? null : job.finished_at,
  };
}

export interface JobPage {
  items: Job[];
  next_cursor: string | null;
}

/** Pages with the events in them; the same array when none of its jobs is concerned. */
export function patchPages<P extends JobPage>(pages: P[], events: Map<string, JobEvent & { ts: string }>): P[] {
  const patched = pages.map((page) => {
    const items = page.items.map((job) => {
      const event = events.get(job.id);
      return event ? patchJob(job, event) : job;
    });
    return items.some((job, index) => job !== page.items[index]) ? { ...page, items } : page;
  });
  return patched.some((page, index) => page !== pages[index]) ? patched : pages;
}
