import { useQuery } from '@tanstack/react-query';
import { memo, useState, type ReactNode } from 'react';
import { Link } from 'wouter';

import { api, ok, type Event, type Job, type Stats, type Summary } from '../lib/api';
import { clockTime, count, duration, percent, perSecond, utcTime } from '../lib/format';
import { useLive } from '../lib/live';
import { STATUSES } from '../lib/presets';
import { deepest, type Depth } from '../lib/queues';
import { Empty, Loaded, PageHead, Panel } from '../ui/panel';
import { FILL, JobState, QueueState, statusWords, TONES, type Tone } from '../ui/status';
import { Time } from '../ui/time';
import { Charts } from './overview-charts';
import { SubmitButton } from './submit-button';

const NO_JOBS = 'No job has run yet.';
const QUEUES_SHOWN = 8;

export default function Overview() {
  const stats = useQuery({ queryKey: ['stats'], queryFn: () => ok(api.GET('/stats')), refetchInterval: 10_000 });
  const summary = useQuery({ queryKey: ['summary'], queryFn: () => ok(api.GET('/jobs/metrics/summary')), refetchInterval: 20_000 });
  const queues = useQuery({ queryKey: ['queues', 'first'], queryFn: () => ok(api.GET('/queues', { params: { query: { limit: 100 } } })), refetchInterval: 20_000 });
  const failures = useQuery({
    queryKey: ['recent-failures'],
    queryFn: () => ok(api.GET('/jobs', { params: { query: { status: 'FAILED,DEAD_LETTER', limit: 8 } } })),
    refetchInterval: 30_000,
  });
  return (
    <>
      <PageHead title="Overview" aside={<SubmitButton />} />
      <div className="space-y-4">
        <Loaded query={stats}>{(data) => <Figures stats={data} summary={summary.data} />}</Loaded>
        <Charts />
        <div className="grid gap-4 xl:grid-cols-2">
          <Panel title="Jobs by state">
            <Loaded query={summary}>{(data) => <Distribution summary={data} />}</Loaded>
          </Panel>
          <Panel title="Queues" aside={<Link href="/queues" className="row-link text-muted">All queues</Link>}>
            <Loaded query={queues}>{(data) => <Depths queues={deepest(data.items, stats.data?.queued_by_queue, QUEUES_SHOWN)} />}</Loaded>
          </Panel>
        </div>
        <div className="grid gap-4 xl:grid-cols-2">
          <Panel title="Recent failures" aside={<Link href="/jobs?status=FAILED,DEAD_LETTER" className="row-link text-muted">All failures</Link>}>
            <Loaded query={failures}>{(data) => <Failures jobs={data.items} />}</Loaded>
          </Panel>
          <Feed />
        </div>
      </div>
    </>
  );
}

function Figure({ label, value, note, href }: { label: string; value: string; note?: ReactNode; href?: string }) {
  return (
    <div className="min-w-0 bg-surface px-4 py-3">
      <div className="text-xs text-muted">{href ? <Link href={href} className="underline-offset-2 hover:text-ink hover:underline">{label}</Link> : label}</div>
      <div className="figure truncate" data-figure={label}>{value}</div>
      <div className="text-xs text-muted sm:truncate">{note ?? ' '}</div>
    </div>
  );
}

function Figures({ stats, summary }: { stats: Stats; summary: Summary | undefined }) {
  const levels = Object.entries(stats.queued_by_priority).filter(([, n]) => n);
  const workersNote = stats.workers_online ? 'online' : 'nobody runs jobs';
  return (
    <div className="panel grid grid-cols-2 gap-px overflow-hidden bg-line sm:grid-cols-4">
      <Figure label="Queued" value={count(stats.queued)} href="/jobs?status=QUEUED" note={levels.map(([name, n]) => `${count(n)} ${name}`).join(', ')} />
      <Figure label="Running" value={count(stats.active)} href="/jobs?status=RUNNING" note={`${count(stats.scheduled)} scheduled, ${count(stats.retrying)} retrying`} />
      <Figure label="Succeeded" value={count(stats.succeeded)} href="/jobs?status=SUCCESS" note={`${count(stats.completed_today)} today`} />
      <Figure label="Failed" value={count(stats.failed + stats.dead_letter)} href="/jobs?status=FAILED,DEAD_LETTER" note={`${count(stats.dead_letter)} dead ${stats.dead_letter === 1 ? 'letter' : 'letters'}, ${count(stats.failed_today)} today`} />
      <Figure label="Workers" value={count(stats.workers_online)} href="/workers" note={workersNote} />
      <Figure label="Throughput" value={perSecond(stats.throughput_per_sec)} note="over the last minute" />
      <Figure
        label="Duration, median"
        value={duration(summary?.p50_duration_seconds)}
        note={`p95 ${duration(summary?.p95_duration_seconds)}, p99 ${duration(summary?.p99_duration_seconds)}`}
      />
      <Figure
        label="Success rate"
        value={summary?.success_rate === null || summary === undefined ? '–' : percent(summary.success_rate)}
        note="of all that ended"
      />
    </div>
  );
}

/** How much of the most it is; something is seen, however little. The number stands beside it. */
function Bar({ share, tone }: { share: number; tone: Tone }) {
  return (
    <div aria-hidden className="my-1 h-1.5 overflow-hidden rounded-full bg-raised">
      <div className={`h-full rounded-full ${FILL[tone]}`} style={{ width: `${share ? Math.max(2, share * 100) : 0}%` }} />
    </div>
  );
}

function Distribution({ summary }: { summary: Summary }) {
  if (!summary.total) {
    return <Empty>{NO_JOBS}</Empty>;
  }
  return (
    <ul className="space-y-2 p-4">
      {STATUSES.map((status) => {
        const n = summary.by_status[status];
        return (
          <li key={status} className="grid grid-cols-[7rem_minmax(0,1fr)_4rem] items-center gap-3">
            <Link href={`/jobs?status=${status}`} className="row-link">{statusWords(status)}</Link>
            <Bar share={n / summary.total} tone={TONES[status]} />
            <span className="text-right tabular-nums">{count(n)}</span>
          </li>
        );
      })}
    </ul>
  );
}

function Depths({ queues }: { queues: Depth[] }) {
  if (!queues.length) {
    return <Empty>No queue has been used yet.</Empty>;
  }
  const most = Math.max(...queues.map((queue) => queue.waiting));
  return (
    <table className="w-full">
      <thead className="text-left text-xs text-muted">
        <tr>
          <th scope="col" className="px-4 py-2 font-medium">Queue</th>
          <th scope="col" className="hidden px-2 py-2 font-medium sm:table-cell">State</th>
          <th scope="col" className="px-2 py-2 text-right font-medium">Waiting</th>
          <th scope="col" className="px-4 py-2 text-right font-medium">Oldest</th>
        </tr>
      </thead>
      <tbody>
        {queues.map((queue) => (
          <tr key={queue.name} className="border-t border-line">
            <td className="w-full max-w-0 px-4 py-2">
              <Link href={`/jobs?queue=${encodeURIComponent(queue.name)}`} className="row-link block truncate" title={queue.name}>{queue.name}</Link>
              {queue.state && queue.state !== 'active' && <span className="text-xs sm:hidden"><QueueState state={queue.state} /></span>}
              <Bar share={most ? queue.waiting / most : 0} tone="waiting" />
            </td>
            <td className="hidden px-2 py-2 sm:table-cell">{queue.state && <QueueState state={queue.state} />}</td>
            <td className="px-2 py-2 text-right">{count(queue.waiting)}</td>
            <td className="whitespace-nowrap px-4 py-2 text-right">{duration(queue.oldest_age_seconds)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Failures({ jobs }: { jobs: Job[] }) {
  if (!jobs.length) {
    return <Empty>Nothing has failed.</Empty>;
  }
  return (
    <ul className="divide-y divide-line">
      {jobs.map((job) => (
        <li key={job.id} className="px-4 py-2">
          <div className="flex items-baseline justify-between gap-3">
            <Link href={`/jobs/${job.id}`} className="row-link truncate">{job.name ?? job.type}</Link>
            <span className="text-xs text-muted"><Time at={job.finished_at} /></span>
          </div>
          <div className="truncate text-xs text-bad">{job.error}</div>
        </li>
      ))}
    </ul>
  );
}

const FEED_SHOWN = 12;

function Feed() {
  const live = useLive();
  const [paused, setPaused] = useState<Event[] | null>(null);
  const events = (paused ?? live.feed).slice(-FEED_SHOWN).reverse();
  return (
    <Panel
      title="What happens now"
      aside={
        <button type="button" className="button h-7" aria-pressed={paused !== null} onClick={() => setPaused(paused ? null : live.feed)}>
          {paused ? 'Go on' : 'Pause'}
        </button>
      }
    >
      {events.length ? (
        <ul aria-label="Events" className="divide-y divide-line">
          {events.map((event) => <FeedLine key={event.seq} event={event} />)}
        </ul>
      ) : (
        <Empty>Quiet. What happens to jobs and workers shows here at once.</Empty>
      )}
    </Panel>
  );
}

const FeedLine = memo(function FeedLine({ event }: { event: Event }) {
  return (
    <li className="grid grid-cols-[5.5rem_minmax(0,1fr)_auto] items-baseline gap-3 px-4 py-1.5">
      <span className="text-xs text-muted tabular-nums" title={utcTime(event.ts)}>{clockTime(event.ts)}</span>
      {event.job ? (
        <>
          <Link href={`/jobs/${event.job.id}`} className="row-link truncate">{event.job.name ?? event.job.type}</Link>
          <JobState status={event.job.status} />
        </>
      ) : (
        <>
          <span className="truncate">{event.worker ? `${event.worker.hostname} / ${event.worker.pool}` : ''}</span>
          <span className="text-muted">{statusWords(event.event)}</span>
        </>
      )}
    </li>
  );
});
