// A cron expression in words. Our own additions to crontab(5) are said by us, the rest by cronstrue.
import cronstrue from 'cronstrue';

const NAMED: Record<string, string> = {
  '@yearly': 'Once a year, on 1 January at midnight',
  '@annually': 'Once a year, on 1 January at midnight',
  '@monthly': 'On the first of each month at midnight',
  '@weekly': 'On Sundays at midnight',
  '@daily': 'Every day at midnight',
  '@midnight': 'Every day at midnight',
  '@hourly': 'Every hour',
};

const SECONDS: Record<string, number> = { d: 86400, h: 3600, m: 60, s: 1 };
const UNITS: [string, number][] = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];

/** "1h30m" → "1 hour 30 minutes", "60s" → "minute" */
function everyWords(text: string): string {
  let rest = [...text.matchAll(/(\d+)([dhms])/g)].reduce((sum, [, n = '', unit = '']) => sum + Number(n) * (SECONDS[unit] ?? 0), 0);
  const parts: { n: number; unit: string }[] = [];
  for (const [unit, size] of UNITS) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n) {
      parts.push({ n, unit });
    }
  }
  const [only] = parts;
  return parts.length === 1 && only?.n === 1 ? only.unit : parts.map(({ n, unit }) => `${n} ${unit}${n === 1 ? '' : 's'}`).join(' ');
}

/** null: it is none that we could say in words. The server decides what is valid. */
export function cronWords(cron: string): string | null {
  const text = cron.trim();
  const every = /^@every\s+((?:\d+[dhms])+)$/.exec(text);
  if (every?.[1]) {
    return `Every ${everyWords(every[1])}`;
  }
  if (text.startsWith('@')) {
    return NAMED[text] ?? null;
  }
  try {
    return cronstrue.toString(text, { use24HourTimeFormat: true, throwExceptionOnParseError: true });
  } catch {
    return null;
  }
}
