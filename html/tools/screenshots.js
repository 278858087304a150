// Pictures of every page, dark and light, desktop and phone, of a running stack that may be filled with examples:
//   ADMIN_PASSWORD=... node html/tools/screenshots.js http://127.0.0.1:3000 [DIRECTORY]
import { mkdirSync } from 'node:fs';

import { client, launch, signIn } from './browser.js';

const url = process.argv[2] ?? 'http://127.0.0.1:3000';
const directory = process.argv[3] ?? new URL('../../docs/screenshots', import.meta.url).pathname;
const username = process.env.ADMIN_USERNAME ?? 'admin';
const password = process.env.ADMIN_PASSWORD;
if (!password) {
  throw new Error('ADMIN_PASSWORD is not set');
}

async function fill(api) {
  const jobs = [];
  const shipping = [];
  const types = [
    { type: 'data_processing', name: 'sales by region', payload: { dataset: 'sales_q1', operation: 'aggregate', group_by: 'region' } },
    { type: 'noop', name: 'heartbeat of the shop' },
    { type: 'sleep', name: 'wait for the bank', payload: { seconds: 0.3 } },
    { type: 'sleep', name: 'render the catalogue', payload: { seconds: 0.8 }, priority: 'high' },
  ];
  for (let i = 0; i < 120; i++) {
    jobs.push({ ...types[i % types.length], queue: i % 25 ? 'default' : 'reports', metadata: { order: `A-${1000 + i}` } });
  }
  for (const month of ['april', 'may']) {
    jobs.push({ type: 'data_processing', name: `sales of ${month}`, payload: { dataset: `sales_${month}` } });
  }
  jobs.push({ type: 'sleep', name: 'newsletter', payload: { seconds: 1 }, delay_seconds: 3600 });
  jobs.push({ type: 'file_conversion', name: 'sales as a spreadsheet', payload: { input: 'sales_q1.csv', to: 'xlsx' } });
  jobs.push({ type: 'api_call', name: 'stock of the warehouse', payload: { url: 'https://warehouse.example.com/stock' }, max_retries: 0 });
  jobs.push({ type: 'noop', name: 'close the month', queue: 'accounting', priority: 'critical' });
  for (let i = 0; i < 12; i++) {
    shipping.push({ type: 'sleep', name: `ship order ${2000 + i}`, payload: { seconds: 40 }, priority: ['low', 'normal', 'high'][i % 3] });
  }
  await api('POST', '/jobs/batch', { jobs });
  const report = {
    type: 'report_generation', name: 'report of the day', webhook_url: 'https://shop.example.com/hooks/reports',
    payload: { report_type: 'operations', date_range: 'last_24_hours', format: 'both' }, metadata: { team: 'operations' },
  };
  for (const schedule of [
    { name: 'nightly totals', description: 'What the shop sold, by region.', cron: '0 3 * * *', time_zone: 'Europe/Berlin', job: types[0] },
    { name: 'daily report', description: 'What ran, for the morning meeting.', cron: '0 6 * * 1-5', time_zone: 'Europe/Berlin', job: report },
    { name: 'ping the bank', cron: '@every 5m', time_zone: 'UTC', job: { type: 'noop' } },
  ]) {
    if (!(await scheduleOf(api, schedule.name))) {
      await api('POST', '/schedules', schedule);
    }
  }
  await api('POST', '/queues/accounting/pause');
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  const { id } = await api('POST', `/schedules/${(await scheduleOf(api, 'daily report')).id}/run`);
  await new Promise((resolve) => setTimeout(resolve, 5000));
  await api('POST', '/jobs/batch', { jobs: shipping });
  await new Promise((resolve) => setTimeout(resolve, 3000));
  return id;
}

async function scheduleOf(api, name) {
  return (await api('GET', '/schedules?limit=50')).items.find((schedule) => schedule.name === name);
}

const api = await client(url, username, password);
const job = await fill(api);
mkdirSync(directory, { recursive: true });
const pages = {
  overview: '/', jobs: '/jobs', job: `/jobs/${job}`, queues: '/queues', workers: '/workers', schedules: '/schedules',
  'dead-letter': '/dead-letter', settings: '/settings', admin: '/admin', 'api-docs': '/api/docs/',
};
const browser = await launch();
for (const [device, viewport] of Object.entries({ desktop: { width: 1280, height: 860 }, phone: { width: 360, height: 740 } })) {
  const context = await browser.newContext({ viewport, reducedMotion: 'reduce' });
  context.setDefaultTimeout(120_000); // on a busy machine, too
  const page = await context.newPage();
  page.on('console', (message) => message.type() === 'error' && console.log(`${page.url()}: ${message.text()}`));
  page.on('pageerror', (error) => console.log(`${page.url()}: ${error}`));
  await page.goto(url);
  await page.getByLabel('Password').waitFor();
  const shoot = async (name) => {
    for (const theme of ['light', 'dark']) {
      await page.evaluate((value) => {
        document.documentElement.dataset.theme = value;
      }, theme);
      await page.screenshot({ path: `${directory}/${name}-${device}-${theme}.png` });
    }
  };
  await shoot('sign-in');
  await signIn(page, url, username, password);
  for (const [name, path] of Object.entries(pages)) {
    await page.goto(url + path);
    await page.waitForLoadState('networkidle').catch(() => null);
    // all of what a job has
    await page.setViewportSize(name === 'job' ? { ...viewport, height: viewport.width > 1000 ? 1240 : 2200 } : viewport);
    await page.waitForTimeout(name === 'overview' ? 2500 : 600);
    await (name === 'api-docs' ? page.screenshot({ path: `${directory}/${name}-${device}-light.png` }) : shoot(name));
  }
  await page.goto(`${url}/jobs`);
  await page.getByRole('button', { name: 'Submit a job' }).click();
  await page.getByRole('dialog').getByLabel('Start from').selectOption('Large orders, into a file');
  await shoot('submit');
  await context.close();
}
await browser.close();
