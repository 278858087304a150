// Counts how often each of the jobs 0 … n-1 ran, and when the first and the last did.
export class Once {
  constructor(n) {
    this.runs = new Uint8Array(n);
    this.total = 0;
    this.firstMs = 0;
    this.done = new Promise((resolve) => (this.resolve = resolve));
  }

  ran(i) {
    if (this.total === 0) this.firstMs = performance.now();
    this.runs[i]++;
    this.total++;
    if (this.total === this.runs.length) this.resolve();
  }

  get exactlyOnce() {
    return this.total === this.runs.length && this.runs.every((count) => count === 1);
  }
}

// Resolves to false when work did not end in time.
export function within(seconds, work) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(() => resolve(false), seconds * 1000)));
  return Promise.race([work.then(() => true), late]).finally(() => clearTimeout(timer));
}

export async function until(seconds, condition) {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    if (await condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return false;
}

// The same payload, about 200 bytes, that TaskForge's jobs get.
export const payload = (n) => ({
  n,
  customer: '4f7c2a90-6d1e-4b7f-9a53-2f0c8d1be6a1',
  source: 's3://reports/2026/11/sales-emea.csv',
  format: 'parquet',
  notify: ['ops@example.com', 'finance@example.com'],
  options: { dry_run: false, region: 'eu-central-1', limit: 5000 },
});
