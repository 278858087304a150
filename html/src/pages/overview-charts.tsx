import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';

import { api, ok } from '../lib/api';
import { readBefore, WINDOW } from '../lib/ends';
import { count, duration, quantile } from '../lib/format';
import { useLive, useStreamState } from '../lib/live';
import { Chart } from '../ui/chart';
import { Panel } from '../ui/panel';
import { useNow } from '../ui/time';

function Ranges<T extends string>({ value, all, onChange, label }: { value: T; all: readonly T[]; onChange: (value: T) => void; label: string }) {
  return (
    <div role="group" aria-label={label} className="flex gap-1">
      {all.map((one) => (
        <button key={one} type="button" aria-pressed={one === value} className={`rounded px-2 py-0.5 text-xs ${one === value ? 'bg-raised font-medium' : 'text-muted hover:text-ink'}`} onClick={() => onChange(one)}>
          {one}
        </button>
      ))}
    </div>
  );
}

/** The last two minutes, second by second. */
function useSeconds(wanted: boolean) {
  const { ends } = useLive();
  const state = useStreamState();
  // what is read overlaps with what the stream brings, so that nothing is between them
  const before = useQuery({ queryKey: ['ends'], queryFn: () => readBefore(ends).then(() => null), enabled: wanted && state === 'live', staleTime: Infinity });
  const now = Math.floor(useNow() / 1000);
  return useMemo(() => {
    const times = wanted ? Array.from({ length: WINDOW }, (_, i) => now - WINDOW + i) : [];
    return { times, seconds: times.map((time) => ends.at(time)) };
    // the clock ticks once a second, and that is often enough
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [wanted && now, before.dataUpdatedAt]);
}

type Range = 'minute' | 'hour' | 'day';
const RANGES: readonly Range[] = ['minute', 'hour', 'day'];
const RANGE_WORDS: Record<Range, string> = { minute: 'the last two minutes', hour: 'the last hour', day: 'the last day' };
const PER: Record<Range, string> = { minute: 'jobs per second', hour: 'jobs per minute', day: 'jobs per 15 minutes' };

const seconds = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });

interface Course {
  times: number[];
  clock?: (time: number) => string;
  submitted: number[] | null;
  succeeded: (number | null)[];
  failed: (number | null)[];
  p50: (number | null)[];
  p95: (number | null)[];
  p99: (number | null)[];
}

/** How it went: the last two minutes from the events, longer times from the counters of each minute. */
function useCourse(range: Range): Course {
  const recent = useSeconds(range === 'minute');
  const history = useQuery({
    queryKey: ['history', range],
    queryFn: () => ok(api.GET('/stats/history', { params: { query: { window: range === 'day' ? 'day' : 'hour' } } })),
    enabled: range !== 'minute',
    refetchInterval: 30_000,
  });
  return useMemo(() => {
    if (range === 'minute') {
      const sorted = recent.seconds.map((one) => one?.durations.toSorted((a, b) => a - b) ?? []);
      const of = (q: number) => sorted.map((durations) => quantile(durations, q));
      return {
        times: recent.times,
        clock: (time) => seconds.format(time * 1000),
        submitted: null,
        succeeded: recent.seconds.map((one) => one?.succeeded ?? null),
        failed: recent.seconds.map((one) => one?.failed ?? null),
        p50: of(0.5),
        p95: of(0.95),
        p99: of(0.99),
      };
    }
    const items = history.data?.items ?? [];
    return {
      times: items.map((one) => Date.parse(one.at) / 1000),
      submitted: items.map((one) => one.submitted),
      succeeded: items.map((one) => one.succeeded),
      failed: items.map((one) => one.failed),
      p50: items.map((one) => one.p50_duration_seconds),
      p95: items.map((one) => one.p95_duration_seconds),
      p99: items.map((one) => one.p99_duration_seconds),
    };
  }, [range, recent, history.data]);
}

const jobsUnit = (n: number): string => (n >= 10 || Number.isInteger(n) ? count(Math.round(n)) : n.toFixed(1));

/** Throughput and durations: two panels, one choice of time. */
export function Charts() {
  const [range, setRange] = useState<Range>('hour');
  const course = useCourse(range);
  const throughput = useMemo(
    () => [
      ...(course.submitted ? [{ label: 'submitted', colour: 'waiting', values: course.submitted }] : []),
      { label: 'succeeded', colour: 'good', values: course.succeeded, fill: true },
      { label: 'failed', colour: 'bad', values: course.failed },
    ],
    [course],
  );
  const durations = useMemo(
    () => [
      { label: 'median', colour: 'ink', values: course.p50 },
      { label: 'p95', colour: 'warning', values: course.p95 },
      { label: 'p99', colour: 'bad', values: course.p99 },
    ],
    [course],
  );
  return (
    <div className="grid gap-4 xl:grid-cols-2">
      <Panel title={`Throughput, ${PER[range]}`} aside={<Ranges label="Time shown in the charts" value={range} all={RANGES} onChange={setRange} />}>
        <Chart key={range} label={`Throughput of ${RANGE_WORDS[range]}`} times={course.times} clock={course.clock} unit={jobsUnit} series={throughput} />
      </Panel>
      <Panel title={`Duration of jobs, ${RANGE_WORDS[range]}`}>
        <Chart key={range} label={`Duration of the jobs that succeeded in ${RANGE_WORDS[range]}`} times={course.times} clock={course.clock} unit={duration} series={durations} />
      </Panel>
    </div>
  );
}
