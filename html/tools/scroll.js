// The first paint of Overview and Jobs, and scrolling down the list of jobs, of a stack with many:
//   ADMIN_PASSWORD=... node html/tools/scroll.js [URL] [ROWS]
// Prints what it measured; exit status 1: a promise of docs/dashboard.md, "A long look", was not kept.
import { DevTools } from './devtools.js';

const url = process.argv[2] ?? 'http://127.0.0.1:3000';
const wanted = Number(process.argv[3] ?? 1000);
const username = process.env.ADMIN_USERNAME ?? 'admin';
const PAINT_MS = 1000;
const STALL_MS = 100;
const BUSY_MOST = 0.6; // frames come as long as the rest is free
const PIXELS_A_SECOND = 3000;

let failed = false;
function say(good, words) {
  failed ||= !good;
  console.log(`${good ? 'ok' : 'not ok'} ${words}`);
}

/** Runs in the page: every frame, whether rows fill the list and stay in order. */
function watch() {
  const scroller = document.querySelector('[role=table] [role=rowgroup][tabindex]');
  const middle = () => {
    const box = scroller.getBoundingClientRect();
    return document.elementFromPoint(box.x + box.width / 3, box.y + box.height / 2)?.closest('[data-job]');
  };
  const seen = { frames: 0, gaps: [], blank: 0, back: 0, at: 0, rows: 0 };
  globalThis.seen = seen;
  let before = performance.now();
  const frame = (at) => {
    seen.frames++;
    seen.gaps.push(at - before);
    before = at;
    seen.back += scroller.scrollTop < seen.at;
    seen.at = scroller.scrollTop;
    const row = middle();
    seen.blank += !row;
    seen.rows = Math.max(seen.rows, Number(row?.getAttribute('aria-rowindex') ?? 0));
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  const box = scroller.getBoundingClientRect();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

const browser = new DevTools();
const page = await browser.open();
await page.signIn(url, username, process.env.ADMIN_PASSWORD ?? '');
for (const [name, path, there] of [
  ['Overview', '/', () => document.querySelector('[data-figure]') !== null],
  ['Jobs', '/jobs', () => document.querySelector('[data-job]') !== null],
]) {
  for (const cache of ['cold', 'warm']) {
    if (cache === 'cold') {
      await page.send('Network.clearBrowserCache');
    }
    await page.go(url + path);
    await page.until(there, `${name} has data`);
    const [paint, data] = await page.call(() => [performance.getEntriesByName('first-contentful-paint')[0]?.startTime, performance.now()]);
    say(paint < PAINT_MS, `${name}, ${cache} cache: first paint after ${paint?.toFixed(0)} ms, data within ${data.toFixed(0)} ms`);
  }
}
const place = await page.call(watch);
await page.send('Performance.enable', { timeDomain: 'threadTicks' });
const cpu = async () => (await page.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration').value;
const cpuBefore = await cpu();
const start = Date.now();
while ((await page.call(() => globalThis.seen.rows)) < wanted && Date.now() - start < 300_000) {
  await page.send('Input.synthesizeScrollGesture', { ...place, yDistance: -PIXELS_A_SECOND, speed: PIXELS_A_SECOND, gestureSourceType: 'mouse', preventFling: true });
}
const spent = (await cpu()) - cpuBefore;
const seen = await page.call(() => globalThis.seen);
const gaps = seen.gaps.toSorted((a, b) => a - b);
const at = (q) => gaps[Math.min(gaps.length - 1, Math.floor(gaps.length * q))].toFixed(0);
const seconds = gaps.reduce((sum, gap) => sum + gap, 0) / 1000;
say(seen.rows >= wanted, `${seen.rows} rows scrolled in ${((Date.now() - start) / 1000).toFixed(0)} s, ${(seen.frames / seconds).toFixed(1)} frames per second`);
say(Number(at(0.99)) < STALL_MS, `time between frames: median ${at(0.5)} ms, 99 of 100 ${at(0.99)} ms, longest ${at(1)} ms`);
const busy = spent / (seen.at / PIXELS_A_SECOND);
say(busy < BUSY_MOST, `the page's thread computed ${(busy * 100).toFixed(0)} % of the time that scrolling as fast takes without other load`);
say(!seen.blank && !seen.back, `frames without a row ${seen.blank}, jumps back ${seen.back}`);
await browser.close();
process.exitCode = failed ? 1 : 0;
