// One WebSocket for the whole page. It comes back by itself, asks for what it missed, gives every event once and in
// order, and hands over what happened with a frame of the screen: at once when it was quiet, then at most ten times a
// second. Nobody reads faster, and the frames between are free for scrolling.
import { api, ok, type Event } from './api';
import { addEvent, closeBatch, emptyBatch, type Batch } from './coalesce';
import { compareSeq } from './seq';
import { session } from './session';
import { withFrames } from './throttle';

export type StreamState = 'connecting' | 'live' | 'reconnecting' | 'offline';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 20_000;
const CATCH_UP_PAGES = 10;
const PACE_MS = 100;
const PULSE_MS = 20_000;

export class EventStream {
  state: StreamState = 'connecting';
  private socket: WebSocket | null = null;
  private seen: string | null = null;
  private waiting: Event[] | null = null;
  private batch: Batch = emptyBatch();
  private waitMs = FIRST_WAIT_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private pulse: ReturnType<typeof setInterval> | undefined;
  private unanswered = false;
  private stopped = true;
  private readonly stateListeners = new Set<() => void>();

  constructor(
    private readonly onBatch: (batch: Batch) => void,
    private readonly onResync: () => void,
    private readonly onEvent: (event: Event) => void,
  ) {}

  subscribe = (listener: () => void): (() => void) => {
    this.stateListeners.add(listener);
    return () => this.stateListeners.delete(listener);
  };

  start(): void {
    this.stopped = false;
    addEventListener('online', this.hurry);
    void this.connect();
  }

  stop(): void {
    this.stopped = true;
    removeEventListener('online', this.hurry);
    clearTimeout(this.timer);
    clearInterval(this.pulse);
    this.socket?.close();
    this.socket = null;
    this.waiting = null;
    this.seen = null;
    this.become('connecting');
  }

  /** Tries again at once: there is a network, or a session, again. */
  readonly hurry = (): void => {
    if (this.state !== 'live' && !this.stopped) {
      clearTimeout(this.timer);
      this.waitMs = FIRST_WAIT_MS;
      void this.connect();
    }
  };

  private become(state: StreamState): void {
    if (this.state !== state) {
      this.state = state;
      this.stateListeners.forEach((listener) => listener());
    }
  }

  private async connect(): Promise<void> {
    const token = await session.token().catch(() => null);
    if (this.stopped || this.socket) {
      return;
    }
    if (!token) {
      this.later();
      return;
    }
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(`${scheme}//${location.host}/ws`, ['taskforge', `bearer.${token}`]);
    this.socket = socket;
    // an event may come before "connected": after a pause it waits for what was missed
    this.waiting = this.seen === null ? null : [];
    this.unanswered = false;
    clearInterval(this.pulse);
    this.pulse = setInterval(() => this.feel(socket), PULSE_MS);
    socket.onmessage = (message: MessageEvent<string>) => {
      this.unanswered = false;
      // a message may hold several events, one a line
      for (const line of message.data.split('\n')) {
        if (line) {
          this.receive(JSON.parse(line) as Event | { event: string });
        }
      }
    };
    socket.onclose = () => this.lost(socket);
  }

  private lost(socket: WebSocket): void {
    if (this.socket === socket) {
      this.socket = null;
      this.waiting = null;
      clearInterval(this.pulse);
      if (!this.stopped) {
        this.later();
      }
    }
  }

  /** A network that is gone says nothing: who does not answer a ping until the next one is lost. */
  private feel(socket: WebSocket): void {
    if (this.unanswered) {
      socket.onmessage = null;
      this.lost(socket);
      socket.close();
      return;
    }
    this.unanswered = true;
    if (socket.readyState === WebSocket.OPEN) {
      socket.send('ping');
    }
  }

  private later(): void {
    this.become(navigator.onLine ? 'reconnecting' : 'offline');
    clearTimeout(this.timer);
    // spread out, so that a restart is not followed by everybody at once
    this.timer = setTimeout(() => void this.connect(), this.waitMs * (0.5 + Math.random()));
    this.waitMs = Math.min(this.waitMs * 2, LONGEST_WAIT_MS);
  }

  private receive(event: Event | { event: string }): void {
    if (event.event === 'connected') {
      this.waitMs = FIRST_WAIT_MS;
      if (this.seen !== null && this.waiting) {
        void this.catchUp(this.seen, this.waiting);
      } else {
        this.become('live');
      }
    } else if (event.event === 'resync') {
      this.onResync();
    } else if ('seq' in event) {
      if (this.waiting) {
        this.waiting.push(event);
      } else {
        this.take(event);
      }
    }
  }

  /** What happened while nobody listened; what has arrived since waits behind it. */
  private async catchUp(from: string, waiting: Event[]): Promise<void> {
    try {
      let since: string | null = from;
      for (let page = 0; since !== null && page < CATCH_UP_PAGES; page++) {
        const answer: { items: Event[]; next_since: string | null; truncated: boolean } = await ok(
          api.GET('/events', { params: { query: { since, limit: 1000 } } }),
        );
        answer.items.forEach((event) => this.take(event));
        if (answer.truncated || page === CATCH_UP_PAGES - 1) {
          this.onResync();
          break;
        }
        since = answer.items.length ? answer.next_since : null;
      }
    } catch {
      this.onResync();
    }
    if (this.waiting === waiting) {
      this.waiting = null;
      waiting.forEach((event) => this.take(event));
      this.become('live');
    }
  }

  private take(event: Event): void {
    if (this.seen !== null && compareSeq(event.seq, this.seen) <= 0) {
      return;
    }
    this.seen = event.seq;
    this.onEvent(event);
    addEvent(this.batch, event);
    this.flush();
  }

  private readonly flush = withFrames(PACE_MS, () => {
    const batch = closeBatch(this.batch);
    this.batch = emptyBatch();
    this.onBatch(batch);
  });
}
