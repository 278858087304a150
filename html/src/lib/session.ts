// Who is signed in. The access token lives in memory only; the refresh token, which is good once, in localStorage, so that
// a reload and other tabs go on. Tabs take turns at refreshing (Web Locks); where there are none (no secure context) the
// loser of a race gets 409 and takes what the winner stored.
const STORED = 'taskforge.refresh';
const EARLY_MS = 60_000;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15_000;

/** 'unreachable', 'busy': nobody could say yet whether what an earlier page left behind is good; it is asked again. */
export type SessionState = 'starting' | 'unreachable' | 'busy' | 'out' | 'in' | 'expired';

interface Tokens {
  access_token: string;
  refresh_token: string;
  expires_in: number;
}

/** It has an answer, but not to what was asked. */
class Busy extends Error {
  constructor() {
    super('The server is too busy to go on with the session.');
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function exclusively<T>(work: () => Promise<T>): Promise<T> {
  // not there in an insecure context, whatever the types say
  const locks = navigator.locks as LockManager | undefined;
  return locks ? await locks.request('taskforge.refresh', work) : work();
}

export class Session {
  state: SessionState = 'starting';
  private access: string | null = null;
  private expiresAt = 0;
  private refreshing: Promise<boolean> | null = null;
  private wake: () => void = () => undefined;
  private readonly listeners = new Set<() => void>();

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private become(state: SessionState): void {
    this.state = state;
    this.listeners.forEach((listener) => listener());
  }

  private keep(tokens: Tokens): void {
    this.access = tokens.access_token;
    this.expiresAt = Date.now() + tokens.expires_in * 1000;
    localStorage.setItem(STORED, tokens.refresh_token);
    if (this.state !== 'in') {
      this.become('in');
    }
  }

  /** With what an earlier page left behind. While nobody can say whether it is good it is asked again and again. */
  async start(): Promise<void> {
    addEventListener('storage', (event) => {
      if (event.key !== STORED) {
        return;
      }
      if (event.newValue === null && (this.state === 'in' || this.waits())) {
        this.leave('out');
      } else if (event.newValue && (this.state === 'out' || this.state === 'expired')) {
        // somebody signed in, in another tab
        void this.refresh().catch(() => null);
      }
      this.hurry();
    });
    addEventListener('online', this.hurry);
    for (let waitMs = FIRST_WAIT_MS; this.waits(); waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      try {
        if (!localStorage.getItem(STORED) || !(await this.refresh())) {
          this.leave('out');
        }
      } catch (error) {
        if (this.waits()) {
          this.become(error instanceof Busy ? 'busy' : 'unreachable');
          // spread out, so that a restart is not followed by everybody at once
          await Promise.race([pause(waitMs * (0.5 + Math.random())), new Promise<void>((resolve) => (this.wake = resolve))]);
        }
      }
    }
  }

  /** Whether it is open still who this is. */
  private waits(): boolean {
    return ['starting', 'unreachable', 'busy'].includes(this.state);
  }

  /** Asks at once, in place of waiting on. */
  readonly hurry = (): void => this.wake();

  /** Somebody would rather sign in than wait. What is stored stays, for the next visit. */
  giveUp(): void {
    this.become('out');
    this.hurry();
  }

  /** Throws an Error with the server's words when it refuses. */
  async signIn(username: string, password: string): Promise<void> {
    const answer = await fetch('/api/v1/auth/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ username, password }),
    });
    if (!answer.ok) {
      const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
      throw new Error(problem.detail ?? `the server answered ${answer.status}`);
    }
    this.keep((await answer.json()) as Tokens);
  }

  async signOut(): Promise<void> {
    await this.fetch(new Request('/api/v1/auth/logout', { method: 'POST' })).catch(() => null);
    localStorage.removeItem(STORED);
    this.leave('out');
  }

  private leave(state: 'out' | 'expired'): void {
    this.access = null;
    this.become(state);
  }

  /** The session has ended by itself. Other tabs are not told to go, as they are when somebody signs out: they keep what was typed. */
  private refused(): false {
    if (localStorage.getItem(STORED)) {
      localStorage.setItem(STORED, '');
    }
    if (this.state === 'in') {
      this.leave('expired');
    }
    return false;
  }

  /** A token that is good for a while, or null when nobody is signed in any more. */
  async token(): Promise<string | null> {
    if (this.access && Date.now() < this.expiresAt - EARLY_MS) {
      return this.access;
    }
    return (await this.refresh()) ? this.access : null;
  }

  /** A new pair of tokens, one request at a time. false: signed out, and the page says so. Throws when the server is away. */
  refresh(): Promise<boolean> {
    this.refreshing ??= exclusively(() => this.exchange()).finally(() => {
      this.refreshing = null;
    });
    return this.refreshing;
  }

  private async exchange(): Promise<boolean> {
    for (let attempt = 0; attempt < 5; attempt++) {
      const refresh_token = localStorage.getItem(STORED);
      if (!refresh_token) {
        return this.refused();
      }
      const answer = await fetch('/api/v1/auth/refresh', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ refresh_token }),
      });
      if (answer.ok) {
        this.keep((await answer.json()) as Tokens);
        return true;
      }
      if (answer.status === 401 || answer.status === 422) {
        return this.refused();
      }
      if (answer.status !== 409 && this.waits()) {
        break; // who starts says so, and waits longer and longer
      }
      // 409: another tab was faster, its tokens are about to be stored; else the server is busy
      await pause(answer.status === 409 ? 400 : 1500);
    }
    // nobody has refused it: the session may be as good as ever
    throw new Busy();
  }

  /** fetch with the token. Of an expired session the request waits for nobody: it fails, and the page asks to sign in. */
  async fetch(request: Request): Promise<Response> {
    if (this.state === 'expired') {
      // the page goes on asking behind the dialog, and the limits count what is refused
      return new Response('{"detail":"Your session has ended."}', { status: 401 });
    }
    const again = request.clone();
    const answer = await this.send(request);
    if (answer.status !== 401) {
      return answer;
    }
    // the session may have been refreshed by another tab, or ended by an admin
    this.expiresAt = 0;
    return (await this.refresh()) ? this.send(again) : answer;
  }

  private async send(request: Request): Promise<Response> {
    const token = await this.token();
    if (token) {
      request.headers.set('Authorization', `Bearer ${token}`);
    }
    return fetch(request);
  }
}

export const session = new Session();
