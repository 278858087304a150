// An open dashboard while thousands of events a second happen: does its memory stay flat, does it keep its frames, how late
// does it show an event. docs/dashboard.md, "A long look", says how to run it and what it prints.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';

import { client } from './browser.js';
import { DevTools } from './devtools.js';

const USAGE = 'usage: ADMIN_PASSWORD=... node html/tools/soak.js [--url URL] [--redis SOCKET] [--minutes N] [--rate EVENTS_PER_SECOND]\n'
  + '         [--pages overview,jobs,job] [--every SECONDS]';
const LATE_MS = 200;
const FRAMES = 60;
const PER_ENTRY = 32; // as the daemons add them: docs/internals.md
const IN_FLIGHT = 400;

function settings() {
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:3000' },
      redis: { type: 'string', default: new URL('../../var/run/redis.sock', import.meta.url).pathname },
      minutes: { type: 'string', default: '5' },
      rate: { type: 'string', default: '2000' },
      pages: { type: 'string', default: 'overview' },
      every: { type: 'string', default: '10' },
    },
  });
  const numbers = Object.fromEntries(['minutes', 'rate', 'every'].map((name) => [name, Number(values[name])]));
  const pages = values.pages.split(',');
  if (!Object.values(numbers).every((n) => n > 0) || !pages.every((name) => ['overview', 'jobs', 'job'].includes(name))) {
    throw new Error('a number is not one, or a page is none');
  }
  if (!process.env.ADMIN_PASSWORD) {
    throw new Error('ADMIN_PASSWORD is not set');
  }
  return { ...values, ...numbers, pages, username: process.env.ADMIN_USERNAME ?? 'admin', password: process.env.ADMIN_PASSWORD };
}

const now = () => new Date().toISOString().replace('Z', '000Z');

/** Jobs that exist only as events: each is queued, runs, and ends, and its id never comes again. */
class Story {
  jobs = [];
  written = 0;

  line(event, subject) {
    this.written++;
    return JSON.stringify({ event, ts: now(), ...subject });
  }

  worker() {
    const online = this.written % 2 === 0;
    return this.line(online ? 'worker_online' : 'worker_offline', {
      worker: { id: randomUUID(), incarnation: this.written, hostname: hostname(), pool: 'soak', status: online ? 'online' : 'offline' },
    });
  }

  of(job, event, status, change) {
    Object.assign(job, { status }, change);
    return this.line(event, { job });
  }

  next() {
    if (this.written % 400 === 399) {
      return this.worker();
    }
    if (this.jobs.length < IN_FLIGHT) {
      const job = {
        id: randomUUID(), name: `order ${this.written}`, type: 'noop', queue: 'soak', priority: 'normal', status: 'QUEUED',
        attempt: 0, max_retries: 3, progress: 0, error: null, duration_seconds: null,
      };
      this.jobs.push(job);
      return this.of(job, 'job_queued', 'QUEUED');
    }
    const at = Math.floor(Math.random() * this.jobs.length);
    const job = this.jobs[at];
    if (job.status !== 'RUNNING') {
      return this.of(job, 'job_running', 'RUNNING', { attempt: job.attempt + 1, progress: 0, error: null });
    }
    if (job.progress < 80) {
      return this.of(job, 'job_progress', 'RUNNING', { progress: job.progress + 40 });
    }
    const luck = Math.random();
    if (luck < 0.1) {
      return this.of(job, 'job_retrying', 'RETRYING', { error: 'the bank did not answer' });
    }
    this.jobs[at] = this.jobs.at(-1);
    this.jobs.pop();
    const duration_seconds = Math.random() ** 4 * 10;
    return luck < 0.2
      ? this.of(job, 'job_failed', 'FAILED', { error: 'no such account', duration_seconds })
      : this.of(job, 'job_success', 'SUCCESS', { progress: 100, duration_seconds });
  }

  /** A real job whose error is the event's own time: that can be read on the page. */
  mark(id) {
    const ts = now();
    this.written++;
    return JSON.stringify({
      event: 'job_progress', ts, job: {
        id, name: 'soak', type: 'noop', queue: 'default', priority: 'normal', status: 'RUNNING', attempt: 1, max_retries: 3,
        progress: 50, error: ts, duration_seconds: null,
      },
    });
  }
}

/** Adds events to tf:events, as the daemons do, evenly. */
class Producer {
  marked = [];
  story = new Story();
  #due = 0;

  constructor(path, rate) {
    this.rate = rate;
    this.socket = createConnection(path);
    this.socket.on('data', (answer) => {
      if (answer.includes('-ERR') || answer.includes('-NO')) {
        throw new Error(`Redis: ${answer}`);
      }
    });
  }

  start() {
    this.last = performance.now();
    this.timer = setInterval(() => this.tick(), (1000 * PER_ENTRY) / this.rate);
  }

  tick() {
    const at = performance.now();
    // what could not be written for a second is not made up for
    this.#due = Math.min(this.#due + ((at - this.last) * this.rate) / 1000, this.rate);
    this.last = at;
    while (this.#due >= PER_ENTRY) {
      this.#due -= PER_ENTRY;
      const marks = this.marked.map((id) => this.story.mark(id));
      const lines = Array.from({ length: PER_ENTRY - marks.length }, () => this.story.next());
      const words = ['XADD', 'tf:events', 'MAXLEN', '~', '8192', '*', 'e', [...lines, ...marks].join('\n')];
      this.socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
    }
  }

  stop() {
    clearInterval(this.timer);
    this.socket.end();
  }
}

/** Runs in the page before everything else: counts what the WebSocket brings and what the screen shows. Nothing of it grows. */
function instrument(kind) {
  const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z/;
  const SHOWN = /(\d{4}-\d\d-\d\d)[T ]([\d:.]+)(?:Z| UTC)/;
  const soak = { events: 0, messages: 0, frames: 0, longest: 0, since: performance.now(), delays: new Uint32Array(5000), waiting: [] };
  globalThis.soak = soak;
  const Socket = globalThis.WebSocket;
  globalThis.WebSocket = class extends Socket {
    constructor(...args) {
      super(...args);
      this.addEventListener('message', ({ data }) => {
        soak.messages++;
        for (let at = 0; at >= 0; at = data.indexOf('\n', at + 1)) {
          soak.events++;
        }
        // a sample is enough
        if (soak.messages % 8 === 0 && soak.waiting.length < 5000) {
          soak.waiting.push(Date.parse(TIME.exec(data)?.[0]));
        }
      });
    }
  };
  const shown = {
    overview: () => document.querySelector('ul[aria-label=Events] [title]')?.title,
    jobs: () => globalThis.soakMark && document.querySelector(`[data-job="${globalThis.soakMark}"]`)?.textContent,
    job: () => document.querySelector('main [role=alert]')?.textContent,
  }[kind];
  let before = performance.now();
  const frame = (at) => {
    soak.frames++;
    soak.longest = Math.max(soak.longest, at - before);
    before = at;
    const newest = SHOWN.exec(shown() ?? '');
    if (newest) {
      const limit = Date.parse(`${newest[1]}T${newest[2]}Z`);
      let n = 0;
      for (; n < soak.waiting.length && soak.waiting[n] <= limit; n++) {
        soak.delays[Math.min(soak.delays.length - 1, Math.max(0, Date.now() - soak.waiting[n]))]++;
      }
      soak.waiting.splice(0, n);
    } else {
      soak.waiting.length = 0; // nothing there that could show it: the marked job is not in the list yet
    }
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

/** What was counted since the last call. */
function harvest() {
  const { soak } = globalThis;
  const at = performance.now();
  const all = soak.delays.reduce((sum, n) => sum + n, 0);
  const quantile = (q) => {
    let rest = Math.ceil(all * q);
    const ms = soak.delays.findIndex((n) => (rest -= n) <= 0);
    return all ? ms : null;
  };
  const found = {
    events: soak.events, messages: soak.messages, seconds: (at - soak.since) / 1000, frames: soak.frames, longest: soak.longest,
    p50: quantile(0.5), p99: quantile(0.99), most: quantile(1), unshown: soak.waiting.length,
    state: document.querySelector('[role=status]')?.textContent,
  };
  Object.assign(soak, { events: 0, messages: 0, frames: 0, longest: 0, since: at, waiting: [] });
  soak.delays.fill(0);
  return found;
}

/** Memory that the renderers among a browser's processes hold, in MB. */
async function renderersMb(browser) {
  const { processInfo } = await browser.send('SystemInfo.getProcessInfo');
  const kb = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => {
    try {
      return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))[1]);
    } catch {
      return 0; // it ended meanwhile
    }
  });
  return kb.reduce((sum, one) => sum + one, 0) / 1024;
}

class Tab {
  samples = [];

  static async open(browser, kind, set, job) {
    const tab = new Tab();
    tab.kind = kind;
    tab.page = await browser.open();
    await tab.page.before(instrument, kind);
    await tab.page.signIn(set.url, set.username, set.password);
    await tab.page.go(set.url + { overview: '/', jobs: '/jobs', job: `/jobs/${job}` }[kind]);
    await tab.page.until(() => document.querySelector('[role=status]')?.textContent.includes('Live'), `${kind} is live`);
    await tab.page.send('Performance.enable', { timeDomain: 'threadTicks' });
    await tab.page.send('HeapProfiler.enable');
    return tab;
  }

  async metrics() {
    const { metrics } = await this.page.send('Performance.getMetrics');
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  }

  async sample(minute) {
    const seen = await this.page.call(harvest);
    const { TaskDuration } = await this.metrics();
    await this.page.send('HeapProfiler.collectGarbage');
    const { usedSize } = await this.page.send('Runtime.getHeapUsage');
    const { Nodes, JSEventListeners } = await this.metrics();
    const cpu = this.task === undefined ? null : (TaskDuration - this.task) / seen.seconds;
    this.task = (await this.metrics()).TaskDuration;
    // the collection itself is not the page's frame
    await this.page.call(() => { requestAnimationFrame(() => { globalThis.soak.longest = 0; }); });
    const one = { minute, ...seen, heap: usedSize / 1e6, nodes: Nodes, listeners: JSEventListeners, cpu };
    this.samples.push(one);
    return one;
  }
}

const columns = [
  ['page', 8, (s) => s.kind],
  ['minute', 7, (s) => s.minute.toFixed(2)],
  ['events/s', 9, (s) => (s.events / s.seconds).toFixed(0)],
  ['heap MB', 8, (s) => s.heap.toFixed(2)],
  ['nodes', 6, (s) => s.nodes],
  ['listeners', 10, (s) => s.listeners],
  ['RSS MB', 7, (s) => s.rss.toFixed(0)],
  ['frames/s', 9, (s) => (s.frames / s.seconds).toFixed(1)],
  ['longest ms', 11, (s) => s.longest.toFixed(0)],
  ['thread %', 9, (s) => (s.cpu === null ? '-' : (s.cpu * 100).toFixed(0))],
  ['delay ms p50/p99/max', 21, (s) => `${s.p50 ?? '-'}/${s.p99 ?? '-'}/${s.most ?? '-'}`],
  ['', 0, (s) => (/Live/.test(s.state) ? '' : s.state)],
];
const line = (cells) => console.log(cells.join(' ').trimEnd());

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** The words about one page; every promise that was not kept begins with "not ok". */
function verdict({ kind, samples }) {
  // what fills once (the last two minutes of the charts, caches of five minutes) is not growth
  const last = samples.at(-1).minute;
  const warm = samples.filter(({ minute }) => minute >= Math.min(last / 3, 7));
  if (warm.length < 4) {
    return [`not ok ${kind}: it was too short to tell`];
  }
  const span = last - warm[0].minute;
  // medians: while a page that was cut off catches up, it holds what it missed
  const quarter = Math.ceil(warm.length / 4);
  const grown = (of) => median(warm.slice(-quarter).map(of)) - median(warm.slice(0, quarter).map(of));
  const heap = median(warm.map((sample) => sample.heap));
  const say = (good, words) => `${good ? 'ok' : 'not ok'} ${kind}: ${words}`;
  const rise = grown((sample) => sample.heap);
  const nodes = grown((sample) => sample.nodes);
  const listeners = grown((sample) => sample.listeners);
  const frames = median(warm.map((sample) => sample.frames / sample.seconds));
  const late = warm.map((sample) => sample.p99).filter((ms) => ms !== null);
  return [
    say(rise < Math.max(1, heap * 0.05), `heap ${heap.toFixed(1)} MB, ${rise.toFixed(2)} MB more after ${span.toFixed(1)} min`),
    say(nodes < 500 && listeners < 100, `DOM nodes ${nodes.toFixed(0)}, listeners ${listeners.toFixed(0)} more`),
    say(frames >= FRAMES * 0.95, `${frames.toFixed(1)} frames per second (median), the longest took ${Math.max(...warm.map((sample) => sample.longest)).toFixed(0)} ms`),
    say(late.length && median(late) < LATE_MS, `99 of 100 events shown within ${late.length ? median(late) : '-'} ms (median of the samples)`),
  ];
}

/** Real jobs beside the told ones, so that lists change: 20 that run, and one that waits for the events that mark it. */
async function submitter(set) {
  let api = await client(set.url, set.username, set.password);
  const call = async (...request) => {
    try {
      return await api(...request);
    } catch (error) {
      if (!/ 401 /.test(error.message)) {
        throw error;
      }
      api = await client(set.url, set.username, set.password); // the token was good for a quarter of an hour
      return api(...request);
    }
  };
  const waiting = { type: 'noop', name: 'soak', delay_seconds: 86400 };
  return {
    one: async () => (await call('POST', '/jobs', waiting)).id,
    round: async () => {
      await call('POST', '/jobs/batch', { jobs: Array.from({ length: 20 }, () => ({ type: 'noop' })) });
      return (await call('POST', '/jobs', waiting)).id;
    },
    drop: async (id) => {
      await call('POST', `/jobs/${id}/cancel`);
      await call('DELETE', `/jobs/${id}`);
    },
  };
}

async function main() {
  const set = settings();
  const jobs = await submitter(set);
  const followed = await jobs.one();
  let marked = await jobs.one();
  const browser = new DevTools();
  const tabs = [];
  for (const kind of set.pages) {
    tabs.push(await Tab.open(browser, kind, set, followed));
  }
  const mark = (id) => Promise.all(tabs.map((tab) => tab.page.call((value) => { globalThis.soakMark = value; }, id)));
  await mark(marked);
  const producer = new Producer(set.redis, set.rate);
  producer.marked = [followed, marked];
  producer.start();
  line(columns.map(([name, width]) => name.padStart(width)));
  const start = performance.now();
  let enough = false;
  process.once('SIGINT', () => { enough = true; });
  for (let round = 1; !enough && performance.now() - start < set.minutes * 60_000; round++) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, start + round * set.every * 1000 - performance.now())));
    const rss = await renderersMb(browser);
    for (const tab of tabs) {
      const sample = { ...(await tab.sample((performance.now() - start) / 60_000)), kind: tab.kind, rss };
      line(columns.map(([, width, of]) => String(of(sample)).padStart(width)));
    }
    const old = marked;
    marked = await jobs.round();
    producer.marked = [followed, marked];
    await mark(marked);
    await jobs.drop(old);
  }
  producer.stop();
  const seconds = (performance.now() - start) / 1000;
  line([`# ${producer.story.written} events written, ${(producer.story.written / seconds).toFixed(0)} a second`]);
  const words = tabs.flatMap(verdict);
  words.forEach((one) => console.log(one));
  await browser.close();
  await jobs.drop(followed);
  await jobs.drop(marked);
  process.exitCode = words.some((one) => one.startsWith('not ok')) ? 1 : 0;
}

await main().catch((error) => {
  console.error(`${error.message}\n${USAGE}`);
  process.exit(2);
});
