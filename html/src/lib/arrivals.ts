// Jobs that belong into a list and are not in it yet, as far as events tell.
import type { NewestEvent } from './coalesce';
import type { Filter } from './filters';
import { levelName } from './presets';

const MOST = 1000;

const nameOf = (priority: string): string => (/^\d+$/.test(priority) ? levelName(Number(priority)) : priority === 'default' ? 'normal' : priority);

/**
 * Whether a job that an event tells of fits. Without a filter by state those that were queued are new; with one, those that
 * came into such a state are. Who submitted it and its exact level are not in the event: there it may fit.
 */
export function mayFit(filter: Filter, job: NewestEvent): boolean {
  const { status, type, queue, priority, q, created_after, created_before, internal } = filter;
  const words = q?.toLowerCase();
  return (
    (status ? status.split(',').includes(job.status) : job.queued && !(created_before && Date.parse(created_before) <= Date.parse(job.ts))) &&
    (!type || type === job.type) &&
    (queue ? queue === job.queue : internal === '1' || !job.queue.startsWith('_')) &&
    (!priority || nameOf(priority) === job.priority) &&
    (!words || job.id === words || (job.name?.toLowerCase().includes(words) ?? false)) &&
    !(created_after && Date.parse(created_after) > Date.parse(job.ts))
  );
}

/** Which are new after these events; the same set when none came and none went. */
export function arrivals(
  before: ReadonlySet<string>, filter: Filter, events: ReadonlyMap<string, NewestEvent>, listed: ReadonlySet<string>,
): ReadonlySet<string> {
  let after: Set<string> | null = null;
  for (const [id, event] of events) {
    if (before.has(id)) {
      if (filter.status && !mayFit(filter, event)) {
        (after ??= new Set(before)).delete(id);
      }
    } else if (!listed.has(id) && (after ?? before).size < MOST && mayFit(filter, event)) {
      (after ??= new Set(before)).add(id);
    }
  }
  return after ?? before;
}

export const countWords = (n: number): string => (n < MOST ? String(n) : `${MOST} or more`);
