// From events to the page: their order, one batch per frame, what they change in what was read.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { api, type Event, type Job } from '../src/lib/api';
import { addEvent, closeBatch, emptyBatch, FEED } from '../src/lib/coalesce';
import { patchJob, patchPages } from '../src/lib/patch';
import { compareSeq } from '../src/lib/seq';
import { session } from '../src/lib/session';
import { EventStream } from '../src/lib/stream';
import { throttle, withFrames } from '../src/lib/throttle';

const job = {
  id: 'a', name: null, type: 'noop', queue: 'default', priority: 'normal' as const, status: 'RUNNING' as const, attempt: 1,
  max_retries: 3, progress: 10, error: null, duration_seconds: null,
};
let n = 0;
const event = (kind: Event['event'], change: Partial<typeof job> | object = {}): Event => ({
  seq: `1-0-${n++}`, event: kind, ts: `2026-01-01T00:00:0${n % 10}.000000Z`, job: { ...job, ...change },
});
const row = (id: string): Job => ({ ...job, id, status: 'QUEUED', updated_at: '2026-01-01T00:00:00.000000Z', started_at: null, finished_at: null }) as unknown as Job;

describe('the place of an event', () => {
  it('is three numbers, not a text', () => {
    expect(compareSeq('9-0-0', '10-0-0')).toBeLessThan(0);
    expect(compareSeq('10-2-0', '10-10-0')).toBeLessThan(0);
    expect(compareSeq('10-2-31', '10-2-4')).toBeGreaterThan(0);
    expect(compareSeq('10-2-4', '10-2-4')).toBe(0);
  });
});

describe('a batch', () => {
  it('keeps of each job the newest event, and counts all', () => {
    const batch = emptyBatch();
    addEvent(batch, event('job_running'));
    addEvent(batch, event('job_progress', { progress: 50 }));
    addEvent(batch, event('job_success', { status: 'SUCCESS', duration_seconds: 0.5 }));
    expect(batch.jobs.size).toBe(1);
    expect(batch.jobs.get('a')?.status).toBe('SUCCESS');
    expect(batch.counts.get('job_progress')).toBe(1);
    expect(batch.durations).toEqual([0.5]);
    expect(closeBatch(batch).feed.map((one) => one.event)).toEqual(['job_running', 'job_success']);
  });
  it('is bounded, whatever comes while nobody looks', () => {
    const batch = emptyBatch();
    for (let i = 0; i < 20_000; i++) {
      addEvent(batch, event('job_success', { id: String(i), duration_seconds: 1 }));
    }
    expect(batch.jobs.size).toBe(5000);
    expect(batch.durations.length).toBe(5000);
    expect(batch.overflow).toBe(true);
    expect(batch.counts.get('job_success')).toBe(20_000);
    expect(closeBatch(batch).feed.length).toBe(FEED);
    expect(batch.feed.at(-1)?.job?.id).toBe('19999');
  });
  it('says that workers changed', () => {
    const batch = emptyBatch();
    addEvent(batch, { seq: '1-0-0', event: 'worker_online', ts: '2026-01-01T00:00:00Z' });
    expect(batch.workers).toBe(true);
    expect(batch.jobs.size).toBe(0);
  });
});

describe('a row', () => {
  it('takes what the event says, with its times', () => {
    const running = patchJob(row('a'), { ...job, ts: '2026-01-01T00:00:05.000000Z' });
    expect(running).toMatchObject({ status: 'RUNNING', progress: 10, started_at: '2026-01-01T00:00:05.000000Z', finished_at: null });
    const ended = patchJob(running, { ...job, status: 'SUCCESS', ts: '2026-01-01T00:00:06.000000Z' });
    expect(ended.finished_at).toBe('2026-01-01T00:00:06.000000Z');
  });
  it('is not set back by an event that is older than what was read', () => {
    const old = row('a');
    expect(patchJob(old, { ...job, ts: '2025-12-31T23:59:59.000000Z' })).toBe(old);
  });
  it('keeps its place, and lists without it stay the same objects', () => {
    const pages = [{ items: [row('a'), row('b')], next_cursor: 'x' }, { items: [row('c')], next_cursor: null }];
    const patched = patchPages(pages, new Map([['b', { ...job, id: 'b', ts: '2026-01-01T00:00:05.000000Z' }]]));
    expect(patched[0]?.items.map((one) => one.id)).toEqual(['a', 'b']);
    expect(patched[0]?.items[1]?.status).toBe('RUNNING');
    expect(patched[1]).toBe(pages[1]);
    expect(patchPages(pages, new Map())).toBe(pages);
  });
});

describe('reading again', () => {
  it('happens at once, then rarely, and never not at all', () => {
    vi.useFakeTimers();
    const work = vi.fn();
    const again = throttle(1000, work);
    for (let i = 0; i < 100; i++) {
      again();
    }
    expect(work).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1000);
    expect(work).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(5000);
    expect(work).toHaveBeenCalledTimes(2);
    vi.useRealTimers();
  });
});

describe('what is shown', () => {
  const FRAME_MS = 16;
  let visible = true;
  beforeEach(() => {
    visible = true;
    vi.useFakeTimers();
    vi.stubGlobal('requestAnimationFrame', (call: () => void) => (visible ? Number(setTimeout(call, FRAME_MS)) : 0));
    vi.stubGlobal('cancelAnimationFrame', (id: number) => clearTimeout(id));
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
  const shown = () => {
    const times: number[] = [];
    const start = Date.now();
    return { times, ask: withFrames(100, () => times.push(Date.now() - start)) };
  };

  it('is there with the next frame when it was quiet', () => {
    const { times, ask } = shown();
    ask();
    vi.advanceTimersByTime(5000);
    ask();
    vi.advanceTimersByTime(5000);
    expect(times).toEqual([FRAME_MS, 5000 + FRAME_MS]);
  });
  it('changes at most ten times a second, and nothing waits longer than that and a frame', () => {
    const { times, ask } = shown();
    for (let ms = 0; ms < 1000; ms++) {
      ask();
      vi.advanceTimersByTime(1);
    }
    const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(100);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(101 + FRAME_MS);
  });
  it('is not lost without frames, and leaves no timer behind', () => {
    const { times, ask } = shown();
    visible = false;
    ask();
    vi.advanceTimersByTime(1000);
    expect(times).toEqual([1000]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('the stream', () => {
  const opened: Socket[] = [];
  class Socket {
    onmessage: (message: { data: string }) => void = () => undefined;
    onclose: () => void = () => undefined;
    close = () => this.onclose();
    constructor() {
      opened.push(this);
    }
    says(...messages: object[]) {
      this.onmessage({ data: messages.map((message) => JSON.stringify(message)).join('\n') });
    }
  }
  beforeEach(() => {
    opened.length = 0;
    vi.useFakeTimers();
    vi.stubGlobal('WebSocket', Socket);
    vi.stubGlobal('addEventListener', vi.fn());
    vi.stubGlobal('removeEventListener', vi.fn());
    vi.stubGlobal('location', { protocol: 'http:', host: 'localhost' });
    vi.stubGlobal('navigator', { onLine: true });
    vi.stubGlobal('requestAnimationFrame', (call: () => void) => Number(setTimeout(call, 16)));
    vi.stubGlobal('cancelAnimationFrame', (id: number) => clearTimeout(id));
    vi.spyOn(session, 'token').mockResolvedValue('token');
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });
  const connected = { event: 'connected', connection_id: '1' };

  it('takes what was missed before what came before "connected"', async () => {
    const [first, missed, early, late] = ['w', 'x', 'y', 'z'].map((id) => event('job_queued', { id }));
    const asked = vi.spyOn(api, 'GET').mockImplementation(((_path: string, { params }: { params: { query: { since: string } } }) => {
      const items = params.query.since === first?.seq ? [missed, early] : [];
      return Promise.resolve({ data: { items, next_since: early?.seq, truncated: false }, response: { ok: true } });
    }) as unknown as typeof api.GET);
    const taken: string[] = [];
    const stream = new EventStream(({ feed }) => taken.push(...feed.map((one) => (one as typeof early & Event).seq)), vi.fn());
    stream.start();
    await vi.advanceTimersByTimeAsync(0);
    opened[0]?.says(connected, first as Event);
    expect(stream.state).toBe('live');
    opened[0]?.onclose();
    expect(stream.state).toBe('reconnecting');
    await vi.advanceTimersByTimeAsync(1000);
    opened[1]?.says(early as Event, connected, late as Event);
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked.mock.calls[0]?.[1]).toMatchObject({ params: { query: { since: first?.seq } } });
    expect(taken.sort(compareSeq)).toEqual([first, missed, early, late].map((one) => one?.seq));
    expect(stream.state).toBe('live');
  });
});
