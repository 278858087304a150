// graphile-worker with the batching its performance page recommends: local queue of 500, completions in batches, 24
// concurrent jobs. Adds n jobs with add_jobs, then drains them in-process. It deletes a finished job; no history stays.
// usage: node graphile.mjs POSTGRESQL_URL N SECONDS_AT_MOST
import { makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';
import { Once, payload, until, within } from './once.mjs';

process.env.NO_LOG_SUCCESS = '1'; // a log line per job would be measured instead of the queue
const [connectionString, nText, limitText] = process.argv.slice(2);
const n = Number(nText);
const limit = Number(limitText);

const utils = await makeWorkerUtils({ connectionString });
await utils.migrate();
const pool = new pg.Pool({ connectionString, max: 2 });
const left = async () => Number((await pool.query('SELECT count(*) FROM graphile_worker.jobs')).rows[0].count);
if ((await left()) !== 0) throw new Error('the job table is not empty');

const addStart = performance.now();
for (let first = 0; first < n; first += 1000) {
  const jobs = [];
  for (let i = first; i < Math.min(first + 1000, n); i++) jobs.push({ identifier: 'noop', payload: payload(i) });
  await utils.addJobs(jobs);
}
const addSeconds = (performance.now() - addStart) / 1000;
const added = await left();

const once = new Once(n);
const runner = await run({
  taskList: { noop: (job) => once.ran(job.n) },
  noHandleSignals: true,
  preset: {
    worker: {
      connectionString,
      concurrentJobs: 24,
      maxPoolSize: 25,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  },
});
const ended = await within(limit, once.done);
const emptied = await until(30, async () => (await left()) === 0);
const drainSeconds = (performance.now() - once.firstMs) / 1000;
await runner.stop();
await utils.release();
await pool.end();

console.log(
  JSON.stringify({
    jobs: n,
    addPerSecond: n / addSeconds,
    drainPerSecond: once.total / drainSeconds,
    exactlyOnce: ended && emptied && added === n && once.exactlyOnce,
  }),
);
process.exit(0);
