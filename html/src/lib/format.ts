// Numbers and times for people.

const number = new Intl.NumberFormat('en');
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const local = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

export const count = (n: number): string => (Math.abs(n) < 100_000 ? number.format(n) : compact.format(n));
export const percent = (share: number): string => `${share === 1 ? 100 : (Math.floor(share * 10_000) / 100).toFixed(share > 0.99 ? 2 : 1)} %`;
/** 0.2 → "0.20/s", 82.4 → "82/s"; null → "–" */
export const perSecond = (n: number | null): string => (n === null ? '–' : `${n < 10 ? n.toFixed(2) : count(Math.round(n))}/s`);
export const localTime = (time: string): string => local.format(new Date(time));
export const clockTime = (time: string): string => clock.format(new Date(time));
/** "2026-11-23 02:19:02.277108 UTC" */
export const utcTime = (time: string): string => `${time.replace('T', ' ').replace('Z', '')} UTC`;

/** In units of 1000, as files are sold: 312 B, 31.5 kB, 12 MB. */
export function fileSize(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), 3);
  const value = bytes / 1000 ** power;
  return `${value < 99.95 && power ? Number(value.toFixed(1)) : Math.round(value)} ${['B', 'kB', 'MB', 'GB'][power]}`;
}

/** 0.0042 → "4.2 ms", 75 → "1 min 15 s"; 0 → "0 s"; null → "–" */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) {
    return '–';
  }
  if (seconds === 0) {
    return '0 s';
  }
  if (seconds < 0.001) {
    return `${Math.round(seconds * 1e6)} µs`;
  }
  if (seconds < 1) {
    return `${Number((seconds * 1000).toPrecision(2))} ms`;
  }
  if (seconds < 60) {
    return `${Number(seconds.toPrecision(2))} s`;
  }
  const units: [string, number][] = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
  let rest = Math.round(seconds);
  const words: string[] = [];
  for (const [unit, size] of units) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n && words.length < 2) {
      words.push(`${n} ${unit}`);
    } else if (words.length) {
      break;
    }
  }
  return words.join(' ');
}

/** "in 3 min", "12 s ago", "now" */
export function relative(time: string, now: number): string {
  const seconds = (new Date(time).getTime() - now) / 1000;
  if (Math.abs(seconds) < 1.5) {
    return 'now';
  }
  const words = duration(Math.round(Math.abs(seconds))).split(' ').slice(0, 2).join(' ');
  return seconds > 0 ? `in ${words}` : `${words} ago`;
}

export function quantile(sorted: number[], q: number): number | null {
  return sorted.length ? (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? null) : null;
}
