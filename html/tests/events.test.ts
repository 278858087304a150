// From events to the page: their order, one batch per frame, what they change in what was read.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { api, type Event, type Job } from '../src/lib/api';
import { arrivals, mayFit } from '../src/lib/arrivals';
import { addEvent, closeBatch, emptyBatch, FEED } from '../src/lib/coalesce';
import { Ends, readBefore, WINDOW } from '../src/lib/ends';
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
  it('keeps of each job the newest event, and whether it was queued', () => {
    const batch = emptyBatch();
    addEvent(batch, event('job_queued', { status: 'QUEUED' }));
    addEvent(batch, event('job_running'));
    addEvent(batch, event('job_progress', { progress: 50 }));
    addEvent(batch, event('job_success', { status: 'SUCCESS', duration_seconds: 0.5 }));
    expect(batch.jobs.size).toBe(1);
    expect(batch.jobs.get('a')).toMatchObject({ status: 'SUCCESS', queued: true });
    expect(closeBatch(batch).feed.map((one) => one.event)).toEqual(['job_queued', 'job_running', 'job_success']);
  });
  it('is bounded, whatever comes while nobody looks', () => {
    const batch = emptyBatch();
    for (let i = 0; i < 20_000; i++) {
      addEvent(batch, event('job_success', { id: String(i), duration_seconds: 1 }));
    }
    expect(batch.jobs.size).toBe(5000);
    expect(batch.overflow).toBe(true);
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

describe('what ended in the last seconds', () => {
  const at = (second: number) => new Date(second * 1000).toISOString();
  const ended = (seq: number, second: number, kind: Event['event'] = 'job_success'): Event => ({
    seq: `${seq}-0-0`, event: kind, ts: at(second), job: { ...job, duration_seconds: 0.5 },
  });
  afterEach(() => vi.restoreAllMocks());

  it('is counted by the time of the event, not by when it came', () => {
    const ends = new Ends();
    [ended(1, 100), ended(2, 101), ended(3, 101, 'job_failed'), ended(4, 101, 'job_running')].forEach((one) => ends.take(one));
    expect(ends.at(101)).toBeNull(); // what was before is not known yet
    ends.fill([], 99);
    expect([99, 100, 101].map((second) => ends.at(second))).toEqual([
      { succeeded: 0, failed: 0, durations: [] }, { succeeded: 1, failed: 0, durations: [0.5] }, { succeeded: 1, failed: 1, durations: [0.5] },
    ]);
    expect(ends.at(98)).toBeNull();
  });
  it('is filled with what was before, and nothing is counted twice, whoever comes first', () => {
    const all = [1, 2, 3, 4].map((seq) => ended(seq, 100));
    const ends = new Ends();
    all.slice(2).forEach((one) => ends.take(one));
    ends.fill(all, 90);
    ends.fill(all, 90);
    expect(ends.at(100)?.succeeded).toBe(4);
    const early = new Ends();
    early.fill(all, 90);
    all.slice(2).forEach((one) => early.take(one));
    early.take(ended(5, 100));
    expect(early.at(100)?.succeeded).toBe(5);
    early.forget();
    expect(early.at(100)).toBeNull();
  });
  it('is bounded', () => {
    const ends = new Ends();
    for (let second = 0; second < 10_000; second++) {
      ends.take(ended(second, second));
    }
    for (let i = 0; i < 2000; i++) {
      ends.take(ended(10_000 + i, 9999));
    }
    ends.fill([], 0);
    expect(ends.at(0)?.succeeded).toBe(0);
    expect(ends.at(9999)?.succeeded).toBe(2001);
    expect(ends.at(9999)?.durations.length).toBeLessThanOrEqual(500);
  });

  /** GET /events of a stack where so many events happen in a second, the last one now. */
  const history = (perSecond: number, seconds: number) => {
    const now = Date.now();
    const first = now - seconds * 1000;
    return vi.spyOn(api, 'GET').mockImplementation(((_path: string, { params }: { params: { query: { since: string; limit: number } } }) => {
      const from = Math.max(first, Number(params.query.since.split('-')[0]) + 1);
      const n = Math.min(params.query.limit, Math.floor(((now - from) * perSecond) / 1000));
      const items = Array.from({ length: n }, (_, i) => {
        const ms = from + Math.floor((i * 1000) / perSecond);
        return { ...ended(ms, ms / 1000), seq: `${ms}-${i}-0` };
      });
      return Promise.resolve({
        data: { items, next_since: items.at(-1)?.seq ?? null, truncated: from === first }, response: { ok: true },
      });
    }) as unknown as typeof api.GET);
  };
  it('begins two minutes ago', async () => {
    const asked = history(2, 3600);
    const ends = new Ends();
    await readBefore(ends);
    const now = Math.floor(Date.now() / 1000);
    expect(asked).toHaveBeenCalledTimes(1);
    expect(ends.since).toBeLessThanOrEqual(now - WINDOW + 1);
    expect(ends.at(now - 60)?.succeeded).toBe(2);
  });
  it('begins with the first event where there is nothing older', async () => {
    history(2, 30);
    const ends = new Ends();
    await readBefore(ends);
    const now = Math.floor(Date.now() / 1000);
    expect(ends.at(now - 40)).toBeNull();
    expect(ends.at(now - 20)?.succeeded).toBe(2);
  });
  it('begins later where too much happened, and asks no more than a few times', async () => {
    const now = Math.floor(Date.now() / 1000); // the history ends here, however long it takes to read it
    const asked = history(2000, 3600);
    const ends = new Ends();
    await readBefore(ends);
    expect(asked.mock.calls.length).toBeLessThanOrEqual(4);
    expect(ends.at(now - 100)).toBeNull();
    expect(ends.at(now - 3)?.succeeded).toBeGreaterThan(1500);
  });
});

describe('what belongs into a list', () => {
  const told = (change: object) => ({ ...job, ts: '2026-01-01T12:00:00.000000Z', queued: true, ...change });
  it('fits its filter, as far as events tell', () => {
    expect(mayFit({}, told({}))).toBe(true);
    expect(mayFit({}, told({ queued: false }))).toBe(false);
    expect(mayFit({}, told({ queue: '_bulk' }))).toBe(false);
    expect(mayFit({ internal: '1' }, told({ queue: '_bulk' }))).toBe(true);
    expect(mayFit({ type: 'sleep' }, told({}))).toBe(false);
    expect(mayFit({ queue: 'default', priority: 'normal' }, told({}))).toBe(true);
    expect([5, 7].map((level) => mayFit({ priority: String(level) }, told({})))).toEqual([true, false]);
    expect(mayFit({ q: 'NAP' }, told({ name: 'a short nap' }))).toBe(true);
    expect(mayFit({ q: 'nap' }, told({}))).toBe(false);
    expect(mayFit({ created_before: '2026-01-01T11:00:00Z' }, told({}))).toBe(false);
    expect(mayFit({ created_after: '2026-01-01T13:00:00Z' }, told({}))).toBe(false);
    expect(mayFit({ created_by: 'me' }, told({}))).toBe(true);
    expect(mayFit({ status: 'FAILED,RUNNING' }, told({ queued: false }))).toBe(true);
    expect(mayFit({ status: 'FAILED' }, told({}))).toBe(false);
  });
  it('is counted once, not when it is listed, and no more when it has left the state', () => {
    const events = (change: object) => new Map(['a', 'b'].map((id) => [id, told({ id, ...change })]));
    const filter = { status: 'RUNNING' };
    const none = new Set<string>();
    const one = arrivals(none, filter, events({}), new Set(['a']));
    expect([...one]).toEqual(['b']);
    expect(arrivals(one, filter, events({}), new Set(['a']))).toBe(one);
    expect(arrivals(one, filter, events({ status: 'SUCCESS' }), new Set()).size).toBe(0);
    expect(arrivals(none, {}, events({ queued: false }), new Set())).toBe(none);
    const many = new Map(Array.from({ length: 5000 }, (_, i) => [String(i), told({ id: String(i) })]));
    expect(arrivals(none, {}, many, new Set()).size).toBe(1000);
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
    const ends = new Ends();
    const stream = new EventStream(({ feed }) => taken.push(...feed.map((one) => (one as typeof early & Event).seq)), vi.fn(), (one) => ends.take(one));
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
