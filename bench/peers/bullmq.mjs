// BullMQ: adds n jobs with addBulk, then drains them with one in-process worker; finished jobs are kept, as ours are.
// usage: node bullmq.mjs REDIS_SOCKET N CONCURRENCY SECONDS_AT_MOST
import { Queue, Worker } from 'bullmq';
import { Once, payload, until, within } from './once.mjs';

const [path, nText, concurrencyText, limitText] = process.argv.slice(2);
const n = Number(nText);
const limit = Number(limitText);
const connection = { path, maxRetriesPerRequest: null };
const queue = new Queue('bench', { connection });
await queue.obliterate({ force: true });

const addStart = performance.now();
for (let first = 0; first < n; first += 1000) {
  const jobs = [];
  for (let i = first; i < Math.min(first + 1000, n); i++) jobs.push({ name: 'noop', data: payload(i) });
  await queue.addBulk(jobs);
}
const addSeconds = (performance.now() - addStart) / 1000;

const once = new Once(n);
const worker = new Worker('bench', async (job) => once.ran(job.data.n), { connection, concurrency: Number(concurrencyText) });
worker.on('error', (error) => console.error(error.message));
const ended = await within(limit, once.done);
const counted = await until(30, async () => (await queue.getJobCountByTypes('completed')) === n);
const drainSeconds = (performance.now() - once.firstMs) / 1000;
const counts = await queue.getJobCounts();
await worker.close();
await queue.close();

console.log(
  JSON.stringify({
    jobs: n,
    addPerSecond: n / addSeconds,
    drainPerSecond: once.total / drainSeconds,
    exactlyOnce: ended && counted && once.exactlyOnce,
    counts,
  }),
);
process.exit(0);
