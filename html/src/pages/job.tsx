import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { Link, useLocation } from 'wouter';

import { api, jobQuery, ok, type JobWhole } from '../lib/api';
import { mayChange } from '../lib/bulk';
import { serverNow } from '../lib/clock';
import { readJobsAgain } from '../lib/live';
import { useMay } from '../lib/me';
import { isFinal } from '../lib/patch';
import { copyOf } from '../lib/submission';
import { Confirm } from '../ui/dialog';
import { JsonTree } from '../ui/json-tree';
import { Empty, Loaded, PageHead, Panel } from '../ui/panel';
import { Progress } from '../ui/progress';
import { JobState } from '../ui/status';
import { Elapsed, Time } from '../ui/time';
import { complain, say } from '../ui/toast';
import { Deliveries } from './deliveries';
import { JobFiles } from './job-files';
import { JobFlow } from './job-flow';
import { JobLog } from './job-log';
import { JobTimeline } from './job-timeline';
import { SubmitButton } from './submit-button';

export default function JobPage({ id }: { id: string }) {
  const job = useQuery(jobQuery(id));
  return <Loaded query={job}>{(data) => <JobView job={data} />}</Loaded>;
}

function JobView({ job }: { job: JobWhole }) {
  return (
    <>
      <PageHead
        title={job.name ?? job.type}
        note={
          <span className="flex flex-wrap items-center gap-x-3">
            <JobState status={job.status} />
            <span className="break-all font-mono text-xs">{job.id}</span>
          </span>
        }
        aside={<Buttons job={job} />}
      />
      <div className="space-y-4">
        {job.status === 'RUNNING' && (
          <div className="flex items-center gap-3">
            <span className="flex-1"><Progress value={job.progress} /></span>
            <span className="text-xs tabular-nums text-muted">{job.progress} %</span>
          </div>
        )}
        {job.error && job.status !== 'SUCCESS' && (
          <div role="alert" className="panel whitespace-pre-wrap break-words border-bad px-4 py-3 text-bad">{job.error}</div>
        )}
        {!isFinal(job.status) && job.status !== 'RUNNING' && <Why job={job} />}
        <JobFlow job={job} />
        <div className="grid gap-4 lg:grid-cols-[minmax(0,2fr)_minmax(0,1fr)]">
          <div className="min-w-0 space-y-4">
            <Panel title="Payload"><JsonTree value={job.payload} label="payload" /></Panel>
            <Panel title="Result">{job.status === 'SUCCESS' ? <JsonTree value={job.result} label="result" /> : <Empty>{isFinal(job.status) ? 'It ended without a result.' : 'Not yet.'}</Empty>}</Panel>
            <JobFiles job={job} />
            <Errors job={job} />
            <JobLog job={job} />
            {job.webhook_url && <Deliveries job={job} />}
          </div>
          <div className="min-w-0 space-y-4">
            <Panel title="Timeline"><JobTimeline job={job} /></Panel>
            <Facts job={job} />
          </div>
        </div>
      </div>
    </>
  );
}

type Settled = Pick<JobWhole, 'status'>;

function Buttons({ job }: { job: JobWhole }) {
  const may = useMay('operator');
  const queryClient = useQueryClient();
  const [deleting, setDeleting] = useState(false);
  const path = { params: { path: { id: job.id } } };
  const settled = (words: (after: Settled) => string) => ({
    onSuccess: (after: Settled) => {
      say(words(after));
      void queryClient.invalidateQueries({ queryKey: ['job', job.id] });
    },
    onError: complain,
  });
  const cancel = useMutation({ mutationFn: () => ok(api.POST('/jobs/{id}/cancel', path)), ...settled((after) => (after.status === 'CANCELLED' ? 'Cancelled.' : 'Cancel requested.')) });
  const retry = useMutation({ mutationFn: () => ok(api.POST('/jobs/{id}/retry', path)), ...settled(() => 'It waits again.') });
  if (!may) {
    return null;
  }
  return (
    <>
      {mayChange('cancel', job.status) && (
        <button type="button" className="button button-danger" disabled={cancel.isPending || job.cancel_requested} onClick={() => cancel.mutate()}>
          {job.cancel_requested ? 'Cancelling …' : 'Cancel'}
        </button>
      )}
      {mayChange('retry', job.status) && (
        <button type="button" className="button button-primary" disabled={retry.isPending} onClick={() => retry.mutate()}>Retry</button>
      )}
      {!job.queue.startsWith('_') && <SubmitButton label="Duplicate" initial={copyOf(job, serverNow())} />}
      {mayChange('delete', job.status) && <button type="button" className="button" onClick={() => setDeleting(true)}>Delete</button>}
      {deleting && <DeleteDialog id={job.id} onClose={() => setDeleting(false)} />}
    </>
  );
}

function DeleteDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const [, navigate] = useLocation();
  const remove = useMutation({
    mutationFn: () => ok(api.DELETE('/jobs/{id}', { params: { path: { id } } })),
    onSuccess: () => {
      say('Deleted.');
      readJobsAgain();
    },
    onError: complain,
  });
  return (
    // who does something else by the time of the answer is not led away from it
    <Confirm title="Delete this job" action="Delete" danger busy={remove.isPending} onConfirm={() => remove.mutate(undefined, { onSuccess: () => navigate('/jobs') })} onClose={onClose}>
      <p>The job goes, with its errors, logs and files. There is no way back.</p>
    </Confirm>
  );
}

function Why({ job }: { job: JobWhole }) {
  const why = useQuery({
    queryKey: ['why', job.id, job.status],
    queryFn: () => ok(api.GET('/jobs/{id}/why', { params: { path: { id: job.id } } })),
    refetchInterval: 5000,
  });
  return (
    <Panel title="Why does it not run?">
      <Loaded query={why}>
        {(data) => (
          <ul className="space-y-1 px-4 py-3">
            {data.reasons.map((reason) => (
              <li key={reason.code} className="first-letter:uppercase">
                {reason.detail}
                {reason.due_at && <span className="text-muted"> (<Time at={reason.due_at} />)</span>}
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </Panel>
  );
}

function Errors({ job }: { job: JobWhole }) {
  if (!job.errors.length) {
    return null;
  }
  return (
    <Panel title={`Errors (${job.errors.length})`}>
      <ul className="divide-y divide-line">
        {job.errors.toReversed().map((error) => (
          <li key={`${error.epoch}-${error.attempt}`} className="space-y-2 px-4 py-3">
            <div className="flex flex-wrap justify-between gap-2 text-xs text-muted">
              <span>Attempt {error.attempt}{error.worker ? ` on ${error.worker}` : ''}</span>
              <Time at={error.at} />
            </div>
            <p className="whitespace-pre-wrap break-words text-bad">{error.error}</p>
            {error.traceback && (
              <details>
                <summary className="cursor-pointer text-xs">Where it crashed</summary>
                <pre className="mt-2 overflow-x-auto rounded bg-raised p-3 font-mono text-xs">{error.traceback}</pre>
              </details>
            )}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Facts({ job }: { job: JobWhole }) {
  const facts: [string, ReactNode][] = [
    ['Type', job.type],
    ['Queue', <Link key="queue" href={`/jobs?queue=${encodeURIComponent(job.queue)}`} className="row-link">{job.queue}</Link>],
    ['Priority', `${job.priority} (${job.priority_value})`],
    ['Attempt', `${job.attempt} of ${job.max_retries + 1}`],
    ['Duration', <Elapsed key="duration" since={job.status === 'RUNNING' ? job.started_at : null} seconds={job.duration_seconds} />],
    ['Worker', job.worker],
    ['Timeout', job.timeout_seconds === null ? null : `${job.timeout_seconds} s`],
    ['Expires', job.expires_at && <Time key="expires" at={job.expires_at} />],
    ['Webhook', job.webhook_url],
    ['Schedule', job.schedule_id && <Link key="schedule" href={`/schedules#${job.schedule_id}`} className="row-link">its schedule</Link>],
    ['Parent', job.parent_id && <Link key="parent" href={`/jobs/${job.parent_id}`} className="row-link break-all">{job.parent_id}</Link>],
    ['Trace', job.traceparent],
  ];
  const metadata = Object.entries(job.metadata ?? {});
  return (
    <>
      <Panel title="About it">
        <Pairs pairs={facts.filter(([, value]) => value)} />
      </Panel>
      {metadata.length > 0 && (
        <Panel title="Metadata">
          <Pairs pairs={metadata} />
        </Panel>
      )}
    </>
  );
}

function Pairs({ pairs }: { pairs: [string, ReactNode][] }) {
  return (
    <dl className="grid grid-cols-[6rem_minmax(0,1fr)] gap-x-3 gap-y-2 p-4">
      {pairs.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="break-words text-muted">{name}</dt>
          <dd className="max-h-40 overflow-y-auto [overflow-wrap:anywhere]">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
