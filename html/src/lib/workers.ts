// Workers: all pages of their list, by pool, and what they come to together.
import { api, ok, type Worker } from './api';

const PAGE = 200;
/** More are not read: the page says that there are more. */
export const WORKERS_MOST = 1000;

export interface Workers {
  items: Worker[];
  pages: number;
  more: boolean;
}

/** From the first page on, until the list or the patience ends. */
export async function readWorkers(signal?: AbortSignal): Promise<Workers> {
  const items: Worker[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    const page: { items: Worker[]; next_cursor: string | null } = await ok(
      api.GET('/workers', { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } }, signal }),
    );
    items.push(...page.items);
    cursor = page.next_cursor;
    pages++;
  } while (cursor && items.length < WORKERS_MOST);
  return { items, pages, more: cursor !== null };
}

export const isAlive = (worker: Worker): boolean => !['offline', 'lost'].includes(worker.status);

/** By name; in each those that are alive first. */
export function poolsOf(workers: Worker[]): [string, Worker[]][] {
  const pools = new Map<string, Worker[]>();
  for (const worker of workers) {
    const members = pools.get(worker.pool);
    if (members) {
      members.push(worker);
    } else {
      pools.set(worker.pool, [worker]);
    }
  }
  return [...pools]
    .map(([pool, members]): [string, Worker[]] => [pool, [...members.filter(isAlive), ...members.filter((worker) => !isAlive(worker))]])
    .sort(([a], [b]) => a.localeCompare(b));
}

/** Jobs for the network need no slot, so there may be more of them than slots; what a worker ran that is gone runs elsewhere. */
export const busySlots = (worker: Worker): number => (isAlive(worker) ? Math.min(worker.active, worker.concurrency) : 0);

export interface Sums {
  all: number;
  alive: number;
  slots: number;
  busy: number;
  /** null: none of them has said yet */
  perSecond: number | null;
  memory: number | null;
}

export function sumsOf(workers: Worker[]): Sums {
  const alive = workers.filter(isAlive);
  const sum = (of: (worker: Worker) => number | null): number | null =>
    alive.reduce<number | null>((total, worker) => (of(worker) === null ? total : (total ?? 0) + (of(worker) ?? 0)), null);
  return {
    all: workers.length,
    alive: alive.length,
    slots: sum((worker) => worker.concurrency) ?? 0,
    busy: sum(busySlots) ?? 0,
    perSecond: sum((worker) => worker.processed_per_second),
    memory: sum((worker) => worker.memory_bytes),
  };
}
