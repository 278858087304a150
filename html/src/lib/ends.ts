// What ended in each of the last seconds, by the time of its event, whenever that came: from the stream of events, and what
// was before it from GET /events. The counters of GET /stats/history are of whole minutes.
import { api, ok, type Event } from './api';
import { serverNow } from './clock';
import { compareSeq } from './seq';

export const WINDOW = 120; // seconds
const SAMPLES = 500; // durations of a second, enough for a quantile

/** What ended in one second. */
export interface Second {
  succeeded: number;
  failed: number;
  durations: number[];
}

type Seconds = Map<number, Second>;

function tally(seconds: Seconds, { event, ts, job }: Event): void {
  if (event !== 'job_success' && event !== 'job_failed') {
    return;
  }
  const at = Math.floor(Date.parse(ts) / 1000);
  const second = seconds.get(at) ?? { succeeded: 0, failed: 0, durations: [] };
  seconds.set(at, second);
  if (event === 'job_failed') {
    second.failed++;
    return;
  }
  second.succeeded++;
  if (job && job.duration_seconds !== null && second.durations.length < SAMPLES) {
    second.durations.push(job.duration_seconds);
  }
}

export class Ends {
  /** every end since this second is counted; null: not known */
  since: number | null = null;
  private taken: Seconds = new Map();
  private filled: Seconds = new Map();
  /** of the first event that was taken */
  private first: string | null = null;
  /** of the last one of those before, while none was taken */
  private filledTo: string | null = null;

  /** Events of the stream, in order. */
  take(event: Event): void {
    if (this.filledTo !== null) {
      if (compareSeq(event.seq, this.filledTo) <= 0) {
        return;
      }
      this.filledTo = null;
    }
    this.first ??= event.seq;
    tally(this.taken, event);
    if (this.taken.size > 2 * WINDOW) {
      const newest = Math.max(...this.taken.keys());
      this.taken = new Map([...this.taken].filter(([at]) => at > newest - WINDOW));
    }
  }

  /** What was before them: all events since a second, in order. What the stream has brought as well is not counted twice. */
  fill(events: Event[], since: number): void {
    this.filled = new Map();
    const { first } = this;
    for (const event of events) {
      if (first !== null && compareSeq(event.seq, first) >= 0) {
        break;
      }
      tally(this.filled, event);
    }
    this.filledTo = first === null ? (events.at(-1)?.seq ?? null) : null;
    this.since = since;
  }

  /** null: not known. */
  at(time: number): Second | null {
    if (this.since === null || time < this.since) {
      return null;
    }
    const [a, b] = [this.filled.get(time), this.taken.get(time)];
    return {
      succeeded: (a?.succeeded ?? 0) + (b?.succeeded ?? 0),
      failed: (a?.failed ?? 0) + (b?.failed ?? 0),
      durations: [...(a?.durations ?? []), ...(b?.durations ?? [])],
    };
  }

  /** Events are missing: what was counted is worth nothing. */
  forget(): void {
    this.since = null;
    this.taken = new Map();
    this.filled = new Map();
    this.first = null;
    this.filledTo = null;
  }
}

const PAGE = 5000;
const PAGES = 4;

const timeOf = (event: Event | undefined): number => (event ? Date.parse(event.ts) : NaN);
const read = (since: string) => ok(api.GET('/events', { params: { query: { since, limit: PAGE } } }));
const following = (ms: number): string => `${Math.floor(ms)}-0-0`;

/** Fills in the last two minutes; where more happened than a few pages hold, the newest seconds of them. */
export async function readBefore(ends: Ends): Promise<void> {
  if (ends.since === null) {
    // it begins now, until more is known
    ends.fill([], Math.ceil(serverNow() / 1000));
  }
  let from = serverNow() - WINDOW * 1000;
  let page = await read(following(from));
  let events = page.items;
  if (page.truncated) {
    // what was before is forgotten, or never was
    from = events.length ? Math.floor(timeOf(events[0]) / 1000) * 1000 : serverNow();
  }
  if (events.length === PAGE) {
    // how far back the other pages reach, when as much happens all the time
    const near = serverNow() - (PAGES - 2) * (timeOf(events.at(-1)) - timeOf(events[0]));
    if (near > timeOf(events.at(-1))) {
      from = near;
      page = { ...page, items: [], next_since: following(near) };
      events = [];
    }
    for (let n = 1; n < PAGES && page.next_since !== null && (n === 1 || page.items.length === PAGE); n++) {
      page = await read(page.next_since);
      events = events.concat(page.items);
    }
    if (page.items.length === PAGE) {
      // there is more still
      from = serverNow();
      events = [];
    }
  }
  ends.fill(events, Math.ceil(from / 1000));
}
