// The dashboard in a real browser over a real stack; started by t/dashboard.t, prints TAP. Environment: TASKFORGE_URL,
// NGINX_PID (the master), ADMIN, OPERATOR, VIEWER (name:password).
import { readFileSync } from 'node:fs';

import { client, launch, signIn } from '../tools/browser.js';

const url = process.env.TASKFORGE_URL;
const [admin, operator, viewer] = ['ADMIN', 'OPERATOR', 'VIEWER'].map((name) => process.env[name].split(':'));
const PATIENCE = 90_000;
const EVIL = '<img src=x onerror="window.stolen=1"><script>window.stolen=1</script>';
const axe = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
let tests = 0;
let failures = 0;

/** One promise: the work may not throw. A failure ends nothing but itself. */
async function ok(promise, work, where = page) {
  try {
    await work();
    console.log(`ok ${++tests} - ${promise}`);
  } catch (error) {
    failures++;
    tests++;
    console.log(`not ok ${tests} - ${promise}\n${String(error.message ?? error).replace(/^/gm, '# ').slice(0, 3000)}`);
    await where.screenshot({ path: `${process.env.TMPDIR ?? '/tmp'}/dashboard-failed-${tests}.png` }).catch(() => null);
  }
}

function same(got, wanted) {
  if (JSON.stringify(got) !== JSON.stringify(wanted)) {
    throw new Error(`got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
  }
}

async function until(check, what) {
  const end = Date.now() + PATIENCE;
  while (!(await check())) {
    if (Date.now() > end) {
      throw new Error(`not within ${PATIENCE / 1000} s: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function open(browser) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, reducedMotion: 'reduce' });
  context.setDefaultTimeout(PATIENCE);
  const opened = await context.newPage();
  opened.on('pageerror', (error) => troubles.push(`${opened.url()}: ${error}`));
  opened.on('console', (message) => {
    // that there is none is an answer (the webhook secret), so is that a queue is full, or registration closed; that the server was away is
    // what some tests do
    const expected = /status of (401|404|409|422|429|50\d)|WebSocket connection|ERR_/.test(message.text()) || message.location().url.endsWith('/auth/register');
    if (message.type() === 'error' && !expected) {
      troubles.push(`${opened.url()}: ${message.text()}`);
    }
  });
  return opened;
}

/**
 * What axe finds serious on the page: everything when it is light, what depends on colours again when it is dark. except: by
 * rule, within what it is not looked at.
 */
async function accessible(where, except = {}) {
  const found = [];
  for (const [theme, rules] of [['light', undefined], ['dark', ['color-contrast', 'link-in-text-block']]]) {
    found.push(...(await where.evaluate(async ([value, only, excepted]) => {
      document.documentElement.dataset.theme = value;
      const { violations } = await globalThis.axe.run({ resultTypes: ['violations'], ...(only ? { runOnly: only } : {}) });
      return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').flatMap(({ id, nodes }) => {
        const ours = nodes.filter(({ target }) => !excepted[id] || !document.querySelector(target[0])?.closest(excepted[id]));
        return ours.length ? [`${value}: ${id} ${ours.slice(0, 3).map((node) => node.html).join(' | ')}`] : [];
      });
    }, [theme, rules, except])));
  }
  same(found, []);
}

async function checkAccess(where, except) {
  if (!(await where.evaluate(() => 'axe' in globalThis))) {
    await where.evaluate(axe);
  }
  await accessible(where, except);
}

/** Requests like this wait until what is returned is called: as if the answer came late. */
async function hold(path, fits) {
  const waiting = [];
  await page.route(path, (route) => (fits(route.request()) ? void waiting.push(route) : route.continue()));
  return async () => {
    await until(() => waiting.length, `${path} is asked`);
    await Promise.all(waiting.map((route) => route.continue()));
    await page.unroute(path);
  };
}

const troubles = [];
const row = (where, name) => where.getByRole('table', { name: 'Jobs' }).getByRole('row').filter({ hasText: name });
const go = (name) => page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click();
const button = (name) => page.getByRole('button', { name, exact: true });
const dialog = () => page.getByRole('dialog');
const state = (text) => page.getByRole('main').getByText(text, { exact: true }).first().waitFor();

const browser = await launch();
const page = await open(browser);
const api = await client(url, ...operator);
const settled = (id, status) => until(async () => (await api('GET', `/jobs/${id}`)).status === status, `${id} is ${status}`);
const broken = await api('POST', '/jobs', { type: 'test_fail', payload: { error: EVIL, permanent: true }, name: 'fails at once' });

const small = await open(browser);
const docs = await open(browser);
/** What needs no more than jobs that are there from the beginning, beside the rest: both wait most of the time. */
async function beside() {
  await ok('the first page is less than 200 kB', async () => {
    const lean = await open(browser);
    const sizes = [];
    lean.on('response', (response) => {
      if (!new URL(response.url()).pathname.startsWith('/api/')) {
        sizes.push(response.request().sizes().then(({ responseBodySize }) => responseBodySize));
      }
    });
    await signIn(lean, url, ...viewer);
    await lean.getByRole('slider').first().waitFor();
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    same([bytes, bytes > 50_000 && bytes < 200_000], [bytes, true]);
    await lean.context().close();
  }, small);

  await ok('a viewer is offered nothing that is refused', async () => {
    await small.setViewportSize({ width: 360, height: 740 });
    await signIn(small, url, ...viewer);
    await small.getByRole('heading', { name: 'Overview' }).waitFor();
    await small.getByRole('button', { name: 'Menu' }).click();
    await small.getByText('viewer', { exact: true }).last().waitFor();
    same(await small.getByRole('link', { name: 'Admin' }).count(), 0);
    same(await small.getByRole('button', { name: 'Submit a job' }).count(), 0);
    await small.goto(`${url}/jobs?status=FAILED`);
    await row(small, 'fails at once').waitFor();
    same(await small.getByRole('checkbox').count(), 0);
    await row(small, 'fails at once').getByRole('link').click();
    await small.getByRole('region', { name: 'Timeline' }).waitFor();
    same(await small.getByRole('button', { name: /Retry|Delete|Cancel|Duplicate/ }).count(), 0);
    await small.goto(`${url}/admin`);
    await small.getByText('This page is for the role admin.').waitFor();
  }, small);

  await ok('nothing is wider than a phone', async () => {
    for (const path of ['/', '/jobs', '/queues', '/workers', '/schedules', '/dead-letter', '/settings']) {
      await small.goto(url + path);
      await small.getByRole('heading', { level: 1 }).waitFor();
      await until(async () => (await small.getByText('Loading', { exact: true }).count()) === 0, 'it is loaded');
      same([path, await small.evaluate(() => document.documentElement.scrollWidth <= innerWidth)], [path, true]);
    }
  }, small);

  await ok('a session that ends loses nothing that was typed', async () => {
    await small.goto(`${url}/settings`);
    await small.getByLabel('New password').fill('half a new password');
    const elsewhere = await client(url, ...viewer);
    await elsewhere('POST', '/auth/password', { current_password: viewer[1], new_password: `${viewer[1]}2` });
    await small.evaluate(() => dispatchEvent(new Event('focus')));
    await small.getByLabel('Name of a new key').fill('mine');
    await small.getByRole('button', { name: 'Make', exact: true }).click();
    const again = small.getByRole('dialog', { name: 'Your session has ended' });
    await again.waitFor();
    await again.getByLabel('Username or e-mail address').fill(viewer[0]);
    await again.getByLabel('Password').fill(`${viewer[1]}2`);
    await again.getByRole('button', { name: 'Sign in' }).click();
    await again.waitFor({ state: 'detached' });
    same(await small.getByLabel('New password').inputValue(), 'half a new password');
  }, small);

  await ok('the API\'s documentation signs in and tries', async () => {
    await docs.goto(`${url}/api/docs/`);
    // who is faster than the scripts, or has none: the password does not go into the address
    same(await docs.locator('#login').getAttribute('method'), 'post');
    await docs.getByRole('textbox', { name: 'User' }).fill(operator[0]);
    await docs.getByRole('textbox', { name: 'Password' }).fill(operator[1]);
    await docs.getByRole('button', { name: 'Sign in to try' }).click();
    await docs.getByText(/^Signed in as/).waitFor();
    await docs.locator('#operations-Numbers-stats .opblock-summary-control').click();
    await docs.locator('#operations-Numbers-stats .execute').click();
    await docs.locator('#operations-Numbers-stats .live-responses-table').getByText('queued_by_priority').first().waitFor();
    same(await docs.getByRole('main').count(), 1);
    await checkAccess(docs, SWAGGER);
  }, docs);
}

/** What Swagger UI does wrong by itself, all of it inside #docs: its style sheet, and how it nests its elements. */
const SWAGGER = {
  // white on the light colours of its methods and buttons, grey badges
  'color-contrast': '#docs',
  // the line of an operation can be clicked, and holds its button and its link
  'nested-interactive': '.opblock-summary',
  // an example is a <pre> that scrolls
  'scrollable-region-focusable': '.highlight-code, .microlight',
  // it has no label for the one server there is
  'select-name': '#servers',
};

const besides = beside();

await ok('something is seen before any script has run', async () => {
  let go;
  const held = new Promise((resolve) => {
    go = resolve;
  });
  await page.route('**/assets/*.js', (route) => held.then(() => route.continue()));
  await page.goto(url, { waitUntil: 'commit' });
  await page.getByText('TaskForge', { exact: true }).waitFor();
  same(await page.getByRole('button').count(), 0);
  go();
  await button('Sign in').waitFor();
  await page.unroute('**/assets/*.js');
});

await ok('a wrong password is refused in words', async () => {
  await page.getByLabel('Username or e-mail address').fill(admin[0]);
  await page.getByLabel('Password').fill('something else');
  await button('Sign in').click();
  await page.getByRole('alert').filter({ hasText: /\w/ }).waitFor();
  await checkAccess(page);
});

await ok('who signs in sees the overview, and is live', async () => {
  await signIn(page, url, ...admin);
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await page.getByRole('status').filter({ hasText: 'Live' }).first().waitFor();
});

await ok('a reload does not ask again', async () => {
  await page.reload();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
});

await ok('a reload while the server is busy, or away, waits for it and goes on', async () => {
  const renewal = '**/api/v1/auth/refresh';
  await page.route(renewal, (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"status": 503}' }));
  await page.reload();
  await page.getByRole('heading', { name: 'The server is busy' }).waitFor();
  await checkAccess(page);
  await page.unroute(renewal);
  await page.route(renewal, (route) => route.abort());
  await page.getByRole('heading', { name: 'The server cannot be reached' }).waitFor();
  await page.unroute(renewal);
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
});

await ok('a job is submitted with the form of its type, and its row is live to the end', async () => {
  await go('Jobs');
  await button('Submit a job').click();
  await dialog().getByLabel('Type', { exact: true }).fill('sleep');
  await dialog().getByLabel('seconds *').fill('12');
  await dialog().getByLabel('Name', { exact: true }).fill(`${EVIL} typed`);
  await dialog().getByText('More: when').click();
  await dialog().getByLabel('Expires').fill('2099-01-02T03:04');
  await dialog().getByLabel('First wait, seconds').fill('2.5');
  await dialog().getByLabel('Metadata').fill('{"order": "A-1024"}');
  await button('Submit').click();
  const submitted = row(page, 'typed');
  await submitted.waitFor();
  await submitted.getByText('Running').waitFor();
  await submitted.getByText('Success').waitFor();
});

await ok('its page has payload, result and timeline', async () => {
  await row(page, 'typed').getByRole('link').click();
  await page.getByRole('heading', { name: `${EVIL} typed` }).waitFor();
  await page.getByRole('group', { name: 'result' }).getByText('seconds').waitFor();
  await page.getByRole('region', { name: 'Timeline' }).getByText('Success').waitFor();
  await page.getByRole('region', { name: 'Metadata' }).getByText('A-1024').waitFor();
  const { expires_at, retry } = await api('GET', new URL(page.url()).pathname);
  same([Date.parse(expires_at), retry.base_seconds], [new Date(2099, 0, 2, 3, 4).getTime(), 2.5]);
});

await ok('a job that is not JSON is not sent, and not dropped without asking', async () => {
  await button('Duplicate').click();
  await button('Edit as JSON').click();
  await dialog().getByLabel('The job as JSON').fill('{');
  await button('Submit').click();
  await dialog().getByText('This is not JSON; nothing was sent.').waitFor();
  await dialog().getByLabel('The job as JSON').fill('null');
  await button('Submit').click();
  await dialog().getByText('A job is an object; nothing was sent.').waitFor();
  await page.keyboard.press('Escape');
  await button('Keep as it is').click();
  same(await dialog().getByLabel('The job as JSON').inputValue(), 'null');
  await button('Close').click();
  await button('Drop it').click();
  await dialog().waitFor({ state: 'detached' });
  same(await page.evaluate(() => document.activeElement.textContent), 'Duplicate');
});

await ok('a number of more digits than a browser reckons with is shown, and sent again, as it is', async () => {
  const digits = '1234567890123456789';
  await go('Jobs');
  await button('Submit a job').click();
  await button('Edit as JSON').click();
  await dialog().getByLabel('The job as JSON').fill(`{"type": "noop", "name": "snowflake", "payload": {"order": ${digits}}}`);
  for (const way of ['typed', 'duplicated']) {
    const before = page.url();
    await button('Submit').click();
    await dialog().waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'Show it' }).last().click();
    await page.waitForURL((now) => now.pathname.startsWith('/jobs/') && now.href !== before);
    await page.getByRole('group', { name: 'payload' }).getByText(`order: ${digits}`).waitFor();
    if (way === 'typed') {
      await button('Duplicate').click();
    }
  }
  same((await api('GET', '/jobs?type=noop')).items.filter(({ name }) => name === 'snowflake').length, 2);
});

await ok('a running job is asked to stop, and cancelled; its duplicate has its level', async () => {
  const { id } = await api('POST', '/jobs', { type: 'sleep', payload: { seconds: 600 }, name: 'to be cancelled', priority: 7 });
  await settled(id, 'RUNNING');
  await page.goto(`${url}/jobs/${id}`);
  // it is shown for four seconds
  await Promise.all([page.getByRole('status').filter({ hasText: 'Cancel requested.' }).waitFor(), button('Cancel').click()]);
  await state('Cancelled');
  same((await api('GET', `/jobs/${id}`)).status, 'CANCELLED');
  await button('Duplicate').click();
  same(await dialog().getByLabel('Priority').inputValue(), '7');
  // nothing was typed
  await page.keyboard.press('Escape');
  await dialog().waitFor({ state: 'detached' });
});

await ok('names, payloads, errors and logs are text, whatever they hold', async () => {
  const { id } = await api('POST', '/jobs', { type: 'test_crash', payload: { how: EVIL }, max_retries: 0, name: EVIL, metadata: { note: EVIL } });
  await settled(id, 'DEAD_LETTER');
  await page.goto(`${url}/jobs/${id}`);
  await page.getByRole('log').getByText('onerror').waitFor();
  await page.getByRole('group', { name: 'payload' }).getByText('onerror').waitFor();
  await settled(broken.id, 'FAILED');
  await page.goto(`${url}/jobs/${broken.id}`);
  await page.getByRole('alert').getByText('onerror').waitFor();
  await go('Overview');
  await page.getByRole('region', { name: 'Recent failures' }).getByRole('link').first().waitFor();
  await go('Dead letter');
  await page.getByRole('main').getByText('onerror').first().waitFor();
  same(await page.evaluate(() => [globalThis.stolen, document.querySelectorAll('img[src=x]').length]), [undefined, 0]);
});

await ok('the overview has the last two minutes, whoever looks since when, and how deep queues are', async () => {
  const { id: waiting } = await api('POST', '/jobs', { type: 'noop', queue: 'unserved' });
  const { id } = await api('POST', '/jobs', { type: 'noop' });
  await settled(id, 'SUCCESS');
  // as if there were very many: the deepest is not on the first page of their list
  await page.route('**/api/v1/queues?limit=100', (route) => route.continue({ url: route.request().url().replace('limit=100', 'limit=1') }));
  await page.goto(url);
  await button('minute').click();
  const panel = page.getByRole('region', { name: 'Throughput, jobs per second' });
  const chart = panel.getByRole('slider');
  await chart.waitFor();
  await until(async () => {
    await chart.press((await chart.getAttribute('aria-valuenow')) === '0' ? 'End' : 'ArrowLeft');
    return /succeeded [1-9]/.test(await chart.getAttribute('aria-valuetext'));
  }, 'the second in which it succeeded');
  await page.getByRole('heading', { name: 'Overview' }).click();
  await panel.getByText(/^succeeded$/).waitFor();
  await chart.hover();
  await panel.getByText(/^succeeded(\d|–)/).waitFor();
  const depth = page.getByRole('region', { name: 'Queues' }).getByRole('row').filter({ hasText: 'unserved' });
  await depth.locator('[style="width: 100%;"]').waitFor({ state: 'attached' });
  await page.unroute('**/api/v1/queues?limit=100');
  await api('POST', `/jobs/${waiting}/cancel`);
});

await ok('a file that a job made is downloaded', async () => {
  const { id } = await api('POST', '/jobs', { type: 'test_files', payload: { files: [{ name: 'page.html', content_type: 'text/html', text: EVIL }] } });
  await settled(id, 'SUCCESS');
  await page.goto(`${url}/jobs/${id}`);
  const [download] = await Promise.all([page.waitForEvent('download'), button('Download page.html').click()]);
  same([download.suggestedFilename(), readFileSync(await download.path(), 'utf8')], ['page.html', EVIL]);
});

await ok('what a job came from and what came of it is drawn, and leads there', async () => {
  const { id: schedule } = await api('POST', '/schedules', {
    name: 'tells somebody', cron: '@yearly', job: { type: 'noop', name: 'has a flow', webhook_url: 'https://hooks.invalid/' },
  });
  const { id } = await api('POST', `/schedules/${schedule}/run`);
  await settled(id, 'SUCCESS');
  await page.goto(`${url}/jobs/${id}`);
  const flow = page.getByRole('list', { name: 'Flow' });
  await flow.getByRole('listitem').filter({ hasText: 'Schedule' }).getByRole('link', { name: 'tells somebody' }).waitFor();
  const delivery = flow.getByRole('listitem').filter({ hasText: 'Webhook of has a flow' });
  await delivery.getByText(/^(Failed|Retrying)$/).waitFor();
  await checkAccess(page);
  await delivery.getByRole('link', { name: 'job.success' }).click();
  // the way to the delivery, from its own page: schedule, job, delivery
  await flow.getByRole('listitem').filter({ hasText: 'Made for of tells somebody' }).getByRole('link', { name: 'has a flow' }).waitFor();
  same(await flow.getByRole('listitem').count(), 3);
  await api('DELETE', `/schedules/${schedule}`);
});

await ok('a failed job is retried', async () => {
  await page.goto(`${url}/jobs/${broken.id}`);
  await button('Retry').click();
  await page.getByRole('region', { name: 'Timeline' }).getByText('Retried by hand').waitFor();
  await settled(broken.id, 'FAILED');
});

await ok('filters are in the address, and narrow the list', async () => {
  await go('Jobs');
  await page.getByRole('group', { name: 'States' }).getByRole('button', { name: 'Failed' }).click();
  await page.waitForURL('**/jobs?status=FAILED');
  await row(page, 'fails at once').waitFor();
  await until(async () => (await row(page, 'to be cancelled').count()) === 0, 'others are gone');
  await api('POST', '/jobs', { type: 'test_fail', payload: { error: 'on purpose', permanent: true }, name: 'fails while they look' });
  await row(page, 'fails while they look').waitFor();
  await button('More filters').click();
  await button('Mine').click();
  await page.waitForURL('**/jobs?status=FAILED&created_by=me');
  await page.getByText('No job fits this filter.').waitFor();
  await button('Mine').click();
  await row(page, 'fails at once').waitFor();
  await page.goto(`${url}/jobs?status=FAILED&created_before=2001-01-01T00:00:00Z`);
  await page.getByText('No job fits this filter.').waitFor();
  same(new Date(await page.getByLabel('Submitted before').first().inputValue()).getTime(), Date.UTC(2001, 0, 1));
  await checkAccess(page);
  await page.getByLabel('Submitted after').fill('2001-01-01T00:00');
  await page.waitForURL('**created_after=*');
  await button('Forget “Submitted before”').click();
  await row(page, 'fails at once').waitFor();
  await button('Forget “Submitted after”').click();
  await page.waitForURL('**/jobs?status=FAILED');
  await page.getByLabel('Search').fill('fails ');
  await page.waitForURL('**&q=fails');
  await row(page, 'fails at once').waitFor();
  same(await page.getByLabel('Search').inputValue(), 'fails ');
  await page.getByLabel('Search').fill('no such name');
  await page.getByText('No job fits this filter.').waitFor();
  await page.goBack();
  await row(page, 'fails at once').waitFor();
  await page.goBack();
  await page.waitForURL('**/jobs?status=FAILED');
});

await ok('a view is kept', async () => {
  await button('Save view').click();
  await page.getByLabel('Name of the view').fill('broken');
  await button('Save').click();
  await page.goto(`${url}/jobs`);
  await page.getByLabel('Saved views').selectOption('broken');
  await page.waitForURL('**/jobs?status=FAILED');
});

await ok('five at once, and all that fit a filter are cancelled after a preview', async () => {
  await page.goto(`${url}/jobs?queue=nobody`);
  await button('Submit a job').click();
  await dialog().getByLabel('Queue').fill('nobody');
  // the answer is lost: sent again, they are not there twice
  await page.route('**/api/v1/jobs/batch', async (route) => {
    await route.fetch();
    await route.abort();
  });
  await button('× 5').click();
  await dialog().getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor();
  await page.unroute('**/api/v1/jobs/batch');
  await button('× 5').click();
  await dialog().waitFor({ state: 'detached' });
  same((await api('GET', '/jobs?queue=nobody')).items.length, 5);
  await until(async () => (await row(page, 'noop').count()) === 5, 'five rows');
  await button('Cancel all that fit').click();
  await button('Cancel 5').waitFor();
  await checkAccess(page);
  await button('Cancel 5').click();
  await until(async () => (await page.getByRole('table', { name: 'Jobs' }).getByText('Cancelled').count()) === 5, 'five are cancelled');
});

await ok('a job whose answer was lost is not there twice when it is sent again', async () => {
  await page.goto(`${url}/jobs?queue=nobody2`);
  await button('Submit a job').click();
  await dialog().getByLabel('Queue').fill('nobody2');
  await page.route('**/api/v1/jobs', async (route) => {
    await route.fetch();
    await route.abort();
  });
  await button('Submit').click();
  await dialog().getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor();
  await page.unroute('**/api/v1/jobs');
  await button('Submit').click();
  await dialog().waitFor({ state: 'detached' });
  same((await api('GET', '/jobs?queue=nobody2')).items.length, 1);
  await page.goto(`${url}/jobs?queue=nobody`);
});

await ok('of several jobs, a queue that has room for some takes these, and the others when they are sent again', async () => {
  const boss = await client(url, ...admin);
  await api('POST', '/jobs', { type: 'noop', queue: 'tight' });
  await boss('PATCH', '/queues/tight', { max_length: 4 });
  await button('Submit a job').click();
  await dialog().getByLabel('Queue').fill('tight');
  await button('× 5').click();
  await dialog().getByRole('alert').filter({ hasText: /^3 of 5 jobs are submitted\. Of the others: .*queue/ }).waitFor();
  await boss('PATCH', '/queues/tight', { max_length: null });
  await button('× 5').click();
  await dialog().waitFor({ state: 'detached' });
  same((await api('GET', '/jobs?queue=tight')).items.length, 6);
});

await ok('selected jobs are deleted; the answer disturbs no other selection, and no other dialog', async () => {
  const [first, second] = (await api('GET', '/jobs?queue=nobody')).items;
  const box = ({ id }) => page.locator(`[data-job="${id}"]`).getByRole('checkbox');
  const answer = await hold('**/api/v1/jobs/actions', (request) => !request.postDataJSON().dry_run);
  await box(first).check();
  await button('Delete selected').click();
  await button('Delete 1').click();
  await page.keyboard.press('Escape');
  await box(second).check();
  await button('Delete selected').click();
  await answer();
  await dialog().getByText('Delete is under way').waitFor();
  await button('Keep as it is').click();
  await until(async () => (await api('GET', '/jobs?queue=nobody')).items.length === 4, 'one is deleted');
  await box(first).waitFor({ state: 'detached' });
  same(await box(second).isChecked(), true);
  // and who deletes a job from its page is not led away from where they went meanwhile
  await page.goto(`${url}/jobs/${second.id}`);
  const gone = await hold(`**/api/v1/jobs/${second.id}`, (request) => request.method() === 'DELETE');
  await button('Delete').click();
  await dialog().getByRole('button', { name: 'Delete' }).click();
  await page.keyboard.press('Escape');
  await go('Queues');
  await gone();
  await page.getByText('Deleted.').first().waitFor();
  same(new URL(page.url()).pathname, '/queues');
});

await ok('a payload that is typed as JSON stays when its type becomes known meanwhile', async () => {
  const types = await hold('**/api/v1/job-types', () => true);
  await page.goto(`${url}/jobs`);
  await button('Submit a job').click();
  await dialog().getByLabel('Type', { exact: true }).fill('sleep');
  await dialog().getByLabel('Payload, JSON').fill('{"seconds":');
  await types();
  await dialog().getByText('No worker knows this type.').waitFor({ state: 'detached' });
  same(await dialog().getByLabel('Payload, JSON').inputValue(), '{"seconds":');
  await button('Close').click();
  await button('Drop it').click();
});

await ok('who scrolls back in a log that is being written stays there', async () => {
  const { id } = await api('POST', '/jobs', { type: 'test_chatty', payload: { lines: 150, until: 'never' } });
  await until(async () => (await api('GET', `/jobs/${id}/logs?limit=200`)).items.length >= 150, 'its log');
  // as if the last ones were not written yet
  await page.route(`**/api/v1/jobs/${id}/logs?limit=200`, async (route) => {
    const response = await route.fetch();
    const whole = await response.json();
    await route.fulfill({ response, json: { ...whole, items: whole.items.slice(0, 100) } });
  });
  await page.goto(`${url}/jobs/${id}`);
  const log = page.getByRole('log');
  const fromEnd = () => log.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight);
  await log.getByText('line 100', { exact: true }).waitFor({ state: 'attached' });
  await until(async () => (await fromEnd()) < 2, 'the end is seen');
  await log.evaluate((box) => box.scrollTo(0, 0));
  await page.locator('input[type=checkbox]:not(:checked)').waitFor();
  await page.unroute(`**/api/v1/jobs/${id}/logs?limit=200`);
  await log.getByText('line 150', { exact: true }).waitFor({ state: 'attached' });
  same(await log.evaluate((box) => box.scrollTop), 0);
  await page.getByLabel('Follow').check();
  await until(async () => (await fromEnd()) < 2, 'the end is seen again');
  await api('POST', `/jobs/${id}/cancel`);
});

await ok('a schedule is made, paused, resumed, run and deleted', async () => {
  await go('Schedules');
  await button('New schedule').click();
  await dialog().getByLabel('Name').fill('nightly');
  await dialog().getByLabel('Cron expression').fill('30 2 * * *');
  await dialog().getByLabel('Jitter').fill('30');
  await dialog().getByText('At 02:30').waitFor();
  await dialog().getByText(/^Fires/).waitFor();
  await checkAccess(page);
  await page.keyboard.press('Escape');
  await button('Keep as it is').click();
  await button('Save').click();
  const card = page.getByRole('article', { name: 'nightly' });
  await card.getByText('jitter 30 s').waitFor();
  await card.getByText('At 02:30').waitFor();
  await card.getByRole('button', { name: 'Pause' }).click();
  await card.getByText('Paused', { exact: true }).waitFor();
  await card.getByRole('button', { name: 'Resume' }).click();
  await card.getByText('Active').waitFor();
  const { id } = (await api('GET', '/schedules')).items.find(({ name }) => name === 'nightly');
  await card.getByRole('button', { name: 'Run now' }).click();
  await until(async () => (await api('GET', '/jobs?type=noop&queue=default')).items.some((job) => job.schedule_id === id), 'its job');
  await card.getByRole('button', { name: 'Delete' }).click();
  await dialog().getByRole('button', { name: 'Delete' }).click();
  await card.waitFor({ state: 'detached' });
  const saved = await hold('**/api/v1/schedules', (request) => request.method() === 'POST');
  await button('New schedule').click();
  await dialog().getByLabel('Name').fill('weekly');
  await button('Save').click();
  await button('Close').click();
  await button('Drop it').click();
  await button('New schedule').click();
  await dialog().getByLabel('Name').fill('monthly');
  await saved();
  // its answer closes no other dialog
  await page.getByRole('article', { name: 'weekly' }).waitFor({ state: 'attached' });
  same(await dialog().getByLabel('Name').inputValue(), 'monthly');
  await button('Close').click();
  await button('Drop it').click();
});

await ok('a worker is made quiet, resized, and takes jobs again', async () => {
  await go('Workers');
  const card = page.getByRole('article').first();
  await card.getByText('Online', { exact: true }).waitFor();
  await page.getByRole('region', { name: 'Pool default' }).getByText(/slots busy, [\d.]+\/s, [\d.]+ MB/).waitFor();
  await card.getByRole('definition').filter({ hasText: /^[\d.]+ MB$/ }).waitFor();
  await card.getByRole('button', { name: 'Quiet' }).click();
  await card.getByText('Quiet', { exact: true }).first().waitFor();
  await card.getByRole('button', { name: 'Resume' }).click();
  await card.getByText('Online', { exact: true }).waitFor();
  await card.getByRole('button', { name: 'Resize' }).click();
  await dialog().getByLabel('Jobs at once').fill('3');
  await checkAccess(page);
  await dialog().getByRole('button', { name: 'Resize' }).click();
  await card.getByText('of 3 slots busy').waitFor();
});

await ok('a queue is paused and goes on; how long its failed jobs are kept is set; more queues are shown', async () => {
  // as if there were very many
  await page.route('**/api/v1/queues?limit=100*', (route) => route.continue({ url: route.request().url().replace('limit=100', 'limit=1') }));
  await go('Queues');
  const card = page.getByRole('listitem', { name: 'default' });
  await card.getByRole('button', { name: 'Pause' }).click();
  await card.getByText('Paused', { exact: true }).waitFor();
  await card.getByRole('button', { name: 'Resume' }).click();
  await card.getByText('Active').waitFor();
  await card.getByRole('button', { name: 'Edit' }).click();
  await dialog().getByLabel('Failed').fill('5000');
  await checkAccess(page);
  // the browser knows the limit too
  await dialog().locator('form').evaluate((form) => {
    form.noValidate = true;
  });
  await dialog().getByRole('button', { name: 'Save' }).click();
  await dialog().getByText('0.01 to 3650').waitFor();
  await dialog().getByLabel('Failed').fill('14');
  await dialog().getByRole('button', { name: 'Save' }).click();
  await card.getByText('Kept: Failed 14 d').waitFor();
  // an answer that comes late closes no dialog but its own
  const changed = await hold('**/api/v1/queues/default', (request) => request.method() === 'PATCH');
  await card.getByRole('button', { name: 'Edit' }).click();
  await dialog().getByLabel('Note').fill('the shop waits');
  await dialog().getByRole('button', { name: 'Save' }).click();
  await button('Close').click();
  await card.getByRole('button', { name: 'Edit' }).click();
  await dialog().getByLabel('Note').fill('nobody waits');
  await changed();
  await card.getByText('the shop waits').waitFor();
  same(await dialog().getByLabel('Note').inputValue(), 'nobody waits');
  await button('Close').click();
  same(await page.getByRole('listitem', { name: 'nobody' }).count(), 0);
  await button('Show more').click();
  await page.getByRole('listitem', { name: 'nobody' }).waitFor();
  await page.unroute('**/api/v1/queues?limit=100*');
});

await ok('an API key is shown once and revoked', async () => {
  await go('Settings');
  await page.getByLabel('Name of a new key').fill('shop');
  await button('Make').click();
  await page.getByText(/^tfk_\w{20,}$/).waitFor();
  await button('I have it').click();
  await button('Revoke shop').click();
  await dialog().getByRole('button', { name: 'Revoke' }).click();
  await page.getByText('No keys.').waitFor();
});

await ok('nor is it lost while another one is made or revoked', async () => {
  const name = page.getByLabel('Name of a new key');
  const made = await hold('**/api/v1/auth/api-keys', (request) => request.method() === 'POST');
  await name.fill('till');
  await button('Make').click();
  await name.fill('stock');
  await made();
  await page.getByText('The new key till: shown this once.').waitFor();
  same(await name.inputValue(), 'stock');
  await button('Make').click();
  await page.getByText('The new key stock: shown this once.').waitFor();
  same(await page.getByText(/^tfk_\w{20,}$/).count(), 2);
  await button('I have it').first().click();
  await button('I have it').click();
  const revoked = await hold('**/api/v1/auth/api-keys/*', (request) => request.method() === 'DELETE');
  await button('Revoke till').click();
  await dialog().getByRole('button', { name: 'Revoke' }).click();
  await page.keyboard.press('Escape');
  await button('Revoke stock').click();
  await revoked();
  await page.locator('[aria-label="Revoke till"]').waitFor({ state: 'detached' });
  await dialog().getByRole('button', { name: 'Revoke' }).click();
  await page.getByText('No keys.').waitFor();
});

await ok('an admin sees users and the audit', async () => {
  await go('Admin');
  await page.getByLabel(`Role of ${viewer[0]}`).waitFor();
  await page.getByRole('region', { name: 'Audit' }).getByText('key.revoke').first().waitFor();
});

await ok('a role changes after a confirmation, one\'s own with a warning', async () => {
  const own = page.getByLabel(`Role of ${admin[0]}`);
  await own.selectOption('viewer');
  await dialog().getByText('This is you.').waitFor();
  await button('Keep as it is').click();
  same(await own.inputValue(), 'admin');
  const theirs = page.getByLabel(`Role of ${viewer[0]}`);
  await besides; // where they are a viewer still
  await theirs.selectOption('operator');
  await button('Change the role').click();
  await until(async () => (await theirs.inputValue()) === 'operator', 'they are an operator');
});

// what follows disturbs everybody
await besides;

await ok('what happens while nginx is replaced is not missed', async () => {
  await page.goto(`${url}/jobs`);
  await page.getByRole('table', { name: 'Jobs' }).waitFor();
  await page.getByRole('status').filter({ hasText: 'Live' }).first().waitFor();
  const master = Number(process.env.NGINX_PID);
  const children = () => readFileSync(`/proc/${master}/task/${master}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number);
  const { id } = await api('POST', '/jobs', { type: 'sleep', payload: { seconds: 600 }, name: 'over the reload' });
  await row(page, 'over the reload').getByText('Running').waitFor();
  const old = children();
  // waited for before it can happen: it may be over within half a second
  const away = page.getByRole('status').filter({ hasText: 'Reconnecting' }).first().waitFor();
  away.catch(() => null); // looked at below
  process.kill(master, 'SIGHUP');
  await until(() => children().some((pid) => !old.includes(pid)), 'new workers');
  old.forEach((pid) => process.kill(pid, 'SIGTERM'));
  await Promise.all([
    away,
    // a request of ours may be cut off as well, on a connection that a worker closes while it leaves
    until(() => api('POST', `/jobs/${id}/cancel`).then(() => true, (error) => / 409 /.test(error.message)), 'it is cancelled'),
  ]);
  await page.getByRole('status').filter({ hasText: 'Live' }).first().waitFor();
  await row(page, 'over the reload').getByText('Cancelled', { exact: true }).waitFor();
});

for (const name of ['Overview', 'Jobs', 'Queues', 'Workers', 'Schedules', 'Dead letter', 'Settings', 'Admin']) {
  await ok(`axe finds nothing serious on ${name}, dark or light`, async () => {
    await go(name);
    await page.getByRole('heading', { name, level: 1 }).waitFor();
    await until(async () => (await page.getByText('Loading', { exact: true }).count()) === 0, 'it is loaded');
    await checkAccess(page);
  });
}

await ok('nor on the page of a job, and in the form for a new one', async () => {
  const { items } = await api('GET', '/jobs?type=test_crash');
  await page.goto(`${url}/jobs/${items[0].id}`);
  await page.getByRole('region', { name: 'Timeline' }).waitFor();
  await checkAccess(page);
  await button('Duplicate').click();
  await dialog().getByLabel('Priority').waitFor();
  await accessible(page);
});

await ok('who signs out is out, in every tab', async () => {
  const tab = await page.context().newPage();
  await tab.goto(`${url}/queues`);
  await tab.getByRole('heading', { name: 'Queues', level: 1 }).waitFor();
  await page.goto(`${url}/queues`);
  await button('Sign out').click();
  await page.getByRole('heading', { name: 'Sign in to TaskForge' }).waitFor();
  await tab.getByRole('heading', { name: 'Sign in to TaskForge' }).waitFor();
});

await ok('where only an admin makes accounts nobody is asked to fill in a form for one', async () => {
  await page.route('**/api/v1/auth/register', (route) => route.fulfill({ status: 403, contentType: 'application/problem+json', body: '{"status": 403}' }));
  await button('Make one').click();
  await page.getByText('Accounts are made by an admin here').waitFor();
  same([await button('Make one').count(), await button('Sign in').count()], [0, 1]);
  await page.unroute('**/api/v1/auth/register');
  await page.reload();
});

await ok('somebody new makes an account', async () => {
  await button('Make one').click();
  await button('Make the account').waitFor();
  await checkAccess(page);
  await page.getByLabel('Username').fill('newcomer');
  await page.getByLabel('E-mail address').fill('newcomer@example.com');
  await page.getByLabel('Password').fill('short');
  await button('Make the account').click();
  await page.locator('[aria-invalid=true]').waitFor();
  await page.getByLabel('Password').fill('correct horse 7 battery');
  await button('Make the account').click();
  await page.getByRole('heading', { name: 'Queues', level: 1 }).waitFor();
});

await ok('no page threw, and none did what the Content-Security-Policy forbids', async () => same([...new Set(troubles)], []));

console.log(`1..${tests}`);
await browser.close();
process.exit(failures ? 1 : 0);
