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
