// The list of workers: all of its pages, its pools, and what they come to together.
import { afterEach, describe, expect, it, vi } from 'vitest';

import { api, type Worker } from '../src/lib/api';
import { poolsOf, readWorkers, sumsOf, WORKERS_MOST } from '../src/lib/workers';

const worker = (id: string, change: Partial<Worker> = {}): Worker =>
  ({ id, pool: 'default', status: 'online', concurrency: 4, active: 1, memory_bytes: 1000, processed_per_second: 0.5, ...change }) as Worker;

/** A server with so many workers; the cursor is the index of the next one. */
function serve(n: number): () => number {
  const get = vi.spyOn(api, 'GET').mockImplementation(((_path: string, { params }: { params: { query: { limit: number; cursor?: string } } }) => {
    const from = Number(params.query.cursor ?? 0);
    const to = Math.min(n, from + params.query.limit);
    const items = Array.from({ length: to - from }, (_, i) => worker(String(from + i)));
    return Promise.resolve({ data: { items, next_cursor: to < n ? String(to) : null }, response: new Response() });
  }) as never);
  return () => get.mock.calls.length;
}

afterEach(() => void vi.restoreAllMocks());

describe('the list of workers', () => {
  it('is read to its end, each once', async () => {
    const asked = serve(450);
    const { items, pages, more } = await readWorkers();
    expect(new Set(items.map(({ id }) => id)).size).toBe(450);
    expect([items.length, more]).toEqual([450, false]);
    expect(asked()).toBe(pages);
  });
  it('ends somewhere, and says so', async () => {
    const asked = serve(WORKERS_MOST * 3);
    const { items, more } = await readWorkers();
    expect([items.length, more]).toEqual([WORKERS_MOST, true]);
    expect(asked()).toBeLessThan(10);
  });
});

describe('pools', () => {
  const gone = worker('b', { status: 'lost', memory_bytes: null, processed_per_second: null });
  it('come by name, those who are alive first', () => {
    const pools = poolsOf([worker('a', { pool: 'slow' }), gone, worker('c')]);
    expect(pools.map(([name, members]) => [name, members.map(({ id }) => id)])).toEqual([['default', ['c', 'b']], ['slow', ['a']]]);
  });
  it('are the sums of those who are alive', () => {
    expect(sumsOf([worker('a', { active: 9 }), gone, worker('c'), worker('d', { status: 'quiet', memory_bytes: null, processed_per_second: null })]))
      .toEqual({ all: 4, alive: 3, slots: 12, busy: 6, perSecond: 1, memory: 2000 });
    expect(sumsOf([gone])).toEqual({ all: 1, alive: 0, slots: 0, busy: 0, perSecond: null, memory: null });
  });
});
