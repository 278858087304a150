import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';

import { api, jobQuery, ok, type Delivery, type JobStatus, type JobWhole, type Schedule } from '../lib/api';
import { arrangeFlow, NODE_HEIGHT, type Edge } from '../lib/flow';
import { isFinal } from '../lib/patch';
import { Panel } from '../ui/panel';
import { FILL, JobState, Mark, TONES } from '../ui/status';
import { useDeliveries } from './deliveries';

interface Node {
  id: string;
  kind: string;
  title: string;
  href?: string;
  status?: JobStatus;
  note?: string;
  /** the one whose page this is */
  here?: boolean;
  /** it will be made */
  planned?: boolean;
  paused?: boolean;
  runs?: Run[];
}

interface Run {
  words: string;
  fill: string;
  /** somebody retried it by hand before this one */
  again: boolean;
}

const DELIVERIES_SHOWN = 6;

/** What the job came from and what came of it. Nothing where it stands alone. */
export function JobFlow({ job }: { job: JobWhole }) {
  const parent = useQuery({
    ...jobQuery(job.parent_id ?? ''),
    enabled: job.parent_id !== null,
  });
  const scheduleId = job.schedule_id ?? parent.data?.schedule_id ?? null;
  const schedule = useQuery({
    queryKey: ['schedule', scheduleId],
    queryFn: () => ok(api.GET('/schedules/{id}', { params: { path: { id: scheduleId ?? '' } } })),
    enabled: scheduleId !== null,
    retry: false,
  });
  const deliveries = useDeliveries(job);
  const nodes: Node[] = [];
  const edges: Edge[] = [];
  const add = (node: Node, from?: string) => {
    nodes.push(node);
    if (from) {
      edges.push([from, node.id]);
    }
    return node.id;
  };
  let before: string | undefined;
  if (scheduleId) {
    before = add(scheduleNode(scheduleId, schedule.data, schedule.isError));
  }
  if (job.parent_id) {
    before = add(parentNode(job.parent_id, parent.data, parent.isError), before);
  }
  const here = add({ id: job.id, kind: 'This job', title: job.name ?? job.type, status: job.status, here: true, runs: runsOf(job) }, before);
  const items = deliveries.data?.items ?? [];
  const shown = items.slice(-DELIVERIES_SHOWN);
  shown.forEach((delivery) => add(deliveryNode(delivery), here));
  if (job.webhook_url && !isFinal(job.status)) {
    add({ id: 'planned', kind: 'Webhook', title: hostOf(job.webhook_url), note: 'when the job has ended', planned: true }, here);
  }
  if (nodes.length < 2) {
    return null;
  }
  const more = items.length - shown.length;
  return (
    <Panel title="Flow" aside={more > 0 && <span className="text-xs text-muted">and {more} older {more === 1 ? 'delivery' : 'deliveries'}</span>}>
      <Graph nodes={nodes} edges={edges} />
    </Panel>
  );
}

/** Not every host that the server takes is one for the browser: xn-- names it may refuse. */
function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

function scheduleNode(id: string, schedule: Schedule | undefined, gone: boolean): Node {
  const node = { id, kind: 'Schedule', title: schedule?.name ?? (gone ? 'was deleted' : '…') };
  return schedule ? { ...node, href: `/schedules#${id}`, note: schedule.cron, paused: schedule.paused } : node;
}

function parentNode(id: string, job: JobWhole | undefined, gone: boolean): Node {
  const node = { id, kind: 'Made for', title: job ? (job.name ?? job.type) : gone ? 'a job that is gone' : '…' };
  return job ? { ...node, href: `/jobs/${id}`, status: job.status } : node;
}

function deliveryNode(delivery: Delivery): Node {
  const last = delivery.attempts.at(-1);
  const answer = !last ? 'not sent yet' : last.status_code === null ? 'no answer' : `HTTP ${last.status_code}`;
  return {
    id: delivery.id,
    kind: 'Webhook',
    title: delivery.type,
    href: `/jobs/${delivery.id}`,
    status: delivery.status,
    note: delivery.attempts.length > 1 ? `${answer}, ${delivery.attempts.length} attempts` : answer,
  };
}

/** Its attempts, life by life: a retry by hand begins a new one. */
function runsOf(job: JobWhole): Run[] {
  const failed = [...job.errors].sort((a, b) => a.epoch - b.epoch || a.attempt - b.attempt);
  const runs = failed.map((error, index) => ({
    words: `attempt ${error.attempt} failed`, fill: FILL.bad, again: index > 0 && error.epoch !== failed[index - 1]?.epoch,
  }));
  const last = failed.at(-1);
  const retried = job.retried_at !== null && (!last || job.retried_at > last.at);
  if (job.status === 'RUNNING' || job.status === 'SUCCESS' || retried) {
    runs.push({ words: `attempt ${job.attempt}, ${job.status.toLowerCase()}`, fill: FILL[TONES[job.status]], again: retried });
  }
  return runs;
}

function Graph({ nodes, edges }: { nodes: Node[]; edges: Edge[] }) {
  const holder = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = holder.current;
    if (!element) {
      return;
    }
    const sized = new ResizeObserver(() => setWidth(element.clientWidth));
    sized.observe(element);
    return () => sized.disconnect();
  }, []);
  const { places, lines, height } = arrangeFlow(nodes.map((node) => node.id), edges, width);
  const titles = new Map(nodes.map((node) => [node.id, node.title]));
  return (
    <div className="p-4">
      <div ref={holder} className="relative" style={{ height }}>
        <svg aria-hidden className="absolute inset-0 size-full overflow-visible text-line" fill="none" stroke="currentColor" strokeWidth="1.5">
          {lines.map((line) => <path key={line} d={line} />)}
        </svg>
        <ol aria-label="Flow">
          {nodes.map((node) => (
            <li
              key={node.id}
              className={`absolute overflow-hidden rounded border bg-surface px-3 py-2 ${node.planned ? 'border-dashed border-line' : node.here ? 'border-ink' : 'border-line'}`}
              style={{ ...places.get(node.id), height: NODE_HEIGHT }}
              aria-current={node.here ? 'true' : undefined}
            >
              <Box node={node} after={edges.find(([, to]) => to === node.id)?.[0]} titles={titles} />
            </li>
          ))}
        </ol>
      </div>
    </div>
  );
}

function Box({ node, after, titles }: { node: Node; after: string | undefined; titles: Map<string, string> }) {
  return (
    <>
      <span className="flex items-center justify-between gap-2 text-xs text-muted">
        <span>{node.kind}{after && <span className="sr-only"> of {titles.get(after)}</span>}</span>
        {node.status && <JobState status={node.status} />}
        {node.paused && <Mark tone="warning">Paused</Mark>}
      </span>
      {node.href ? (
        <Link href={node.href} title={node.title} className="row-link block truncate">{node.title}</Link>
      ) : (
        <span className="block truncate font-medium" title={node.title}>{node.title}</span>
      )}
      {node.note && <span className="block truncate text-xs text-muted">{node.note}</span>}
      {node.runs && <Runs runs={node.runs} />}
    </>
  );
}

const RUNS_SHOWN = 14;

function Runs({ runs }: { runs: Run[] }) {
  if (!runs.length) {
    return <span className="block text-xs text-muted">no attempt yet</span>;
  }
  return (
    <span className="flex h-4 items-center gap-1 text-xs text-muted" title={runs.map((run) => (run.again ? `retried by hand, ${run.words}` : run.words)).join('; ')}>
      <span className="sr-only">{runs.map((run) => run.words).join(', ')}</span>
      {runs.slice(-RUNS_SHOWN).map((run, index) => (
        <span key={index} aria-hidden className="inline-flex items-center gap-1">
          {run.again && <span>↻</span>}
          <span className={`size-2 rounded-full ${run.fill}`} />
        </span>
      ))}
      <span aria-hidden className="ml-1">{runs.length === 1 ? '1 attempt' : `${runs.length} attempts`}</span>
    </span>
  );
}
