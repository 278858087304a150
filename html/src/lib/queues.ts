// Which queues are deepest. The list of queues comes in pages, by name; the numbers know all queues, by name and depth alone.
import type { Queue } from './api';

/** A queue of the numbers that is not on the page of the list has its depth and nothing else. */
export type Depth = Pick<Queue, 'name' | 'waiting'> & Partial<Pick<Queue, 'state' | 'oldest_age_seconds'>>;

/** waiting: by queue, from the numbers; undefined while they are not there. The deepest first, at most so many. */
export function deepest(listed: Queue[], waiting: Record<string, number> | undefined, most: number): Depth[] {
  const depths = new Map<string, Depth>(listed.map((queue) => [queue.name, waiting ? { ...queue, waiting: waiting[queue.name] ?? queue.waiting } : queue]));
  for (const [name, n] of Object.entries(waiting ?? {})) {
    // TaskForge's own are in no list either
    if (!depths.has(name) && !name.startsWith('_')) {
      depths.set(name, { name, waiting: n });
    }
  }
  return [...depths.values()].sort((a, b) => b.waiting - a.waiting).slice(0, most);
}
