// The session: tokens are renewed without a word, and its end is told once.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Session } from '../src/lib/session';

/** Takes the newest access token and the newest refresh token, and nothing else. */
function server() {
  let n = 0;
  const asked = { refresh: 0, refused: 0 };
  const answer = (status: number, body: object = {}) => new Response(JSON.stringify(body), { status });
  const pair = () => answer(200, { access_token: `access${++n}`, refresh_token: `refresh${n}`, expires_in: 900 });
  vi.stubGlobal('fetch', (to: Request | string, init?: { body: string }) => {
    if (typeof to !== 'string') {
      const good = to.headers.get('Authorization') === `Bearer access${n}`;
      asked.refused += good ? 0 : 1;
      return Promise.resolve(answer(good ? 200 : 401));
    }
    if (to.endsWith('/login')) {
      return Promise.resolve(pair());
    }
    asked.refresh++;
    const { refresh_token } = JSON.parse(init?.body ?? '{}') as { refresh_token: string };
    return Promise.resolve(refresh_token === `refresh${n}` ? pair() : answer(401));
  });
  return { asked, revoke: () => void n++ };
}

describe('a session', () => {
  const stored = new Map<string, string>();
  beforeEach(() => {
    stored.clear();
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.stubGlobal('navigator', {});
    vi.stubGlobal('localStorage', {
      getItem: (key: string) => stored.get(key) ?? null,
      setItem: (key: string, value: string) => void stored.set(key, value),
      removeItem: (key: string) => void stored.delete(key),
    });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
  const read = async (session: Session) => (await session.fetch(new Request('http://localhost/api/v1/jobs'))).status;

  it('renews its token before it ends, once for all that is asked at a time', async () => {
    const { asked } = server();
    const session = new Session();
    await session.signIn('olga', 'secret');
    expect(await read(session)).toBe(200);
    vi.setSystemTime(Date.now() + 850_000);
    expect(await Promise.all([read(session), read(session), read(session)])).toEqual([200, 200, 200]);
    expect(asked).toEqual({ refresh: 1, refused: 0 });
    expect([session.state, stored.get('taskforge.refresh')]).toEqual(['in', 'refresh2']);
  });
  it('that was ended asks nobody any more, and says so', async () => {
    const { asked, revoke } = server();
    const session = new Session();
    await session.signIn('olga', 'secret');
    revoke();
    expect(await read(session)).toBe(401);
    expect(session.state).toBe('expired');
    const before = { ...asked };
    expect(await read(session)).toBe(401);
    expect(asked).toEqual(before);
  });
});

describe('a session that an earlier page left behind', () => {
  const stored = new Map<string, string>();
  const listeners = new Map<string, (event: object) => void>();
  /** What the server does when it is asked to renew, one after the other; the last for ever. */
  let answers: (number | 'gone')[] = [];
  let asked = 0;
  beforeEach(() => {
    stored.clear();
    stored.set('taskforge.refresh', 'refresh0');
    asked = 0;
    vi.useFakeTimers();
    vi.stubGlobal('navigator', {});
    vi.stubGlobal('addEventListener', (name: string, listener: (event: object) => void) => listeners.set(name, listener));
    vi.stubGlobal('localStorage', {
      getItem: (key: string) => stored.get(key) ?? null,
      setItem: (key: string, value: string) => void stored.set(key, value),
      removeItem: (key: string) => void stored.delete(key),
    });
    vi.stubGlobal('fetch', () => {
      const status = answers[Math.min(asked++, answers.length - 1)];
      return typeof status === 'number'
        ? Promise.resolve(new Response(JSON.stringify({ access_token: 'a', refresh_token: 'refresh1', expires_in: 900 }), { status }))
        : Promise.reject(new TypeError('Failed to fetch'));
    });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
  /** Started, and what it said on its way. */
  const begin = () => {
    const session = new Session();
    const states: string[] = [];
    session.subscribe(() => states.push(session.state));
    return { session, states, started: session.start() };
  };

  it('is gone on with by itself when the server is back, whether it was busy or away', async () => {
    answers = [503, 503, 'gone', 502, 200];
    const { states, started } = begin();
    await vi.advanceTimersByTimeAsync(60_000);
    await started;
    expect(states).toEqual(['busy', 'busy', 'unreachable', 'busy', 'in']);
    expect(stored.get('taskforge.refresh')).toBe('refresh1');
  });
  it('is asked for less and less often, and kept however long it takes', async () => {
    answers = [503];
    const { session } = begin();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toBeGreaterThan(2);
    await vi.advanceTimersByTimeAsync(600_000);
    expect([session.state, stored.get('taskforge.refresh')]).toEqual(['busy', 'refresh0']);
    expect(asked).toBeGreaterThan(20);
    expect(asked).toBeLessThan(100);
    const before = asked;
    answers = [200];
    session.hurry();
    await vi.advanceTimersByTimeAsync(0);
    expect([session.state, asked]).toEqual(['in', before + 1]);
  });
  it('that is refused, or signed out in another tab, is over', async () => {
    answers = [503, 401];
    const refused = begin();
    await vi.advanceTimersByTimeAsync(5000);
    await refused.started;
    expect(refused.session.state).toBe('out');

    stored.set('taskforge.refresh', 'refresh0');
    asked = 0;
    answers = [503];
    const left = begin();
    await vi.advanceTimersByTimeAsync(100);
    stored.delete('taskforge.refresh');
    listeners.get('storage')?.({ key: 'taskforge.refresh', newValue: null });
    await left.started;
    expect([left.session.state, asked]).toEqual(['out', 1]);
  });
  it('is not asked for any more by who would rather sign in, and stays for the next visit', async () => {
    answers = [503];
    const { session, started } = begin();
    await vi.advanceTimersByTimeAsync(100);
    session.giveUp();
    await started;
    expect([session.state, asked, stored.get('taskforge.refresh')]).toEqual(['out', 1, 'refresh0']);
  });
  it('that is none is not asked for', async () => {
    stored.clear();
    const { session, started } = begin();
    await started;
    expect([session.state, asked]).toEqual(['out', 0]);
  });
});
