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

const UNITS: Record<string, string> = { d: 'day', h: 'hour', m: 'minute', s: 'second' };

/** "1h30m" → "1 hour 30 minutes", "1m" → "minute" */
function everyWords(text: string): string {
  const parts = [...text.matchAll(/(\d+)([dhms])/g)].map(([, n = '', unit = '']) => ({ n: Number(n), unit: UNITS[unit] ?? unit }));
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
