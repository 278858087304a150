import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';

import { api, ok, type Schedule } from '../lib/api';
import { cronWords } from '../lib/cron';
import { parseJson } from '../lib/exact-json';
import { duration } from '../lib/format';
import { useMay } from '../lib/me';
import { Confirm, Dialog } from '../ui/dialog';
import { More, usePages } from '../ui/pages';
import { Empty, Loaded, PageHead } from '../ui/panel';
import { Mark, statusWords } from '../ui/status';
import { Time } from '../ui/time';
import { complain, say } from '../ui/toast';
import { ScheduleDialog } from './schedule-dialog';

const PAGE = { limit: 100, refetchInterval: 10_000 };

/** Who edits one saves its job again, so its numbers keep their digits. */
const readPage = async (query: { limit: number; cursor?: string }) =>
  parseJson(await ok(api.GET('/schedules', { params: { query }, parseAs: 'text' }))) as { items: Schedule[]; next_cursor: string | null };

export default function Schedules() {
  const may = useMay('operator');
  const [making, setMaking] = useState(false);
  const { query: schedules, items } = usePages<Schedule>(['schedules'], readPage, PAGE);
  // a link to one of them: it may be on a later page
  const wanted = useRef(location.hash.slice(1));
  const { hasNextPage, isFetching, isError, fetchNextPage } = schedules;
  useEffect(() => {
    if (!wanted.current) {
      return;
    }
    const card = document.getElementById(wanted.current);
    if (card) {
      card.scrollIntoView({ block: 'center' });
      wanted.current = '';
    } else if (hasNextPage && !isFetching && !isError) {
      void fetchNextPage();
    }
  }, [items.length, hasNextPage, isFetching, isError, fetchNextPage]);
  return (
    <>
      <PageHead
        title="Schedules"
        aside={may && <button type="button" className="button button-primary" onClick={() => setMaking(true)}>New schedule</button>}
      />
      <Loaded query={schedules}>
        {() => (
          <div className="space-y-3">
            {!items.some((one) => !one.builtin) && <div className="panel"><Empty>No schedule of your own yet.</Empty></div>}
            {items.map((schedule) => (
              <ScheduleCard key={schedule.id} schedule={schedule} />
            ))}
          </div>
        )}
      </Loaded>
      <More query={schedules} />
      {making && <ScheduleDialog schedule={null} onClose={() => setMaking(false)} />}
    </>
  );
}

const jobWords = (job: Schedule['job']): string => (job && typeof job === 'object' && 'type' in job ? String(job.type) : '');

function ScheduleCard({ schedule }: { schedule: Schedule }) {
  const [asking, setAsking] = useState<'ticks' | null>(null);
  const words = cronWords(schedule.cron);
  return (
    <article id={schedule.id} className="panel space-y-3 p-4" aria-label={schedule.name}>
      <div className="flex flex-wrap items-center justify-between gap-2">
        <h2 className="flex min-w-0 flex-wrap items-center gap-x-3">
          <span className="break-words text-base">{schedule.name}</span>
          {schedule.builtin ? <span className="text-xs font-normal text-muted">built in</span> : schedule.paused ? <Mark tone="warning">Paused</Mark> : <Mark tone="good">Active</Mark>}
        </h2>
        <Orders schedule={schedule} onTicks={() => setAsking('ticks')} />
      </div>
      {schedule.description && <p className="break-words text-muted">{schedule.description}</p>}
      <dl className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <div>
          <dt className="text-xs text-muted">When</dt>
          <dd>{words ?? schedule.cron}</dd>
          <dd className="font-mono text-xs text-muted">{schedule.cron} · {schedule.time_zone}</dd>
        </div>
        <div>
          <dt className="text-xs text-muted">Next</dt>
          <dd>{schedule.paused ? 'paused' : <Time at={schedule.next_run_at} />}</dd>
          <dd className="text-xs text-muted">{!schedule.paused && schedule.next_run_at && <Time at={schedule.next_run_at} exact />}</dd>
        </div>
        <div>
          <dt className="text-xs text-muted">Last</dt>
          <dd><Time at={schedule.last_tick} /></dd>
          <dd className="text-xs text-muted">
            {schedule.last_job_id ? <Link href={`/jobs/${schedule.last_job_id}`} className="row-link">{statusWords(schedule.last_outcome ?? '')}</Link> : statusWords(schedule.last_outcome ?? '')}
          </dd>
        </div>
        {!schedule.builtin && (
          <div>
            <dt className="text-xs text-muted">Job</dt>
            <dd className="truncate" title={jobWords(schedule.job)}>{jobWords(schedule.job)}</dd>
            <dd className="text-xs text-muted">
              overlap: {schedule.overlap.replace('_', ' ')}{schedule.jitter_seconds > 0 && ` · jitter ${duration(schedule.jitter_seconds)}`} · catches up {duration(schedule.catch_up_seconds)}
            </dd>
          </div>
        )}
      </dl>
      {schedule.pause_note && <p className="break-words text-xs text-muted">Paused: {schedule.pause_note}</p>}
      {schedule.next_runs.length > 1 && !schedule.paused && (
        <details className="text-xs">
          <summary className="cursor-pointer text-muted">The next {schedule.next_runs.length} firings</summary>
          <ol className="mt-2 grid gap-1 sm:grid-cols-2 lg:grid-cols-5">
            {schedule.next_runs.map((at) => (
              <li key={at}><Time at={at} exact /></li>
            ))}
          </ol>
        </details>
      )}
      {asking === 'ticks' && <Ticks schedule={schedule} onClose={() => setAsking(null)} />}
    </article>
  );
}

function Orders({ schedule, onTicks }: { schedule: Schedule; onTicks: () => void }) {
  const may = useMay('operator');
  const queryClient = useQueryClient();
  const [asking, setAsking] = useState<'edit' | 'delete' | null>(null);
  const path = { params: { path: { id: schedule.id } } };
  // its own dialog closes, not another that was opened meanwhile
  const settled = (words: string, dialog?: typeof asking) => ({
    onSuccess: () => {
      say(words);
      setAsking((now) => (now === dialog ? null : now));
      void queryClient.invalidateQueries({ queryKey: ['schedules'] });
    },
    onError: complain,
  });
  const pause = useMutation({ mutationFn: () => ok(api.POST('/schedules/{id}/pause', { ...path, body: {} })), ...settled('Paused.') });
  const resume = useMutation({ mutationFn: () => ok(api.POST('/schedules/{id}/resume', path)), ...settled('It fires again.') });
  const run = useMutation({ mutationFn: () => ok(api.POST('/schedules/{id}/run', path)), ...settled('A job was submitted.') });
  const remove = useMutation({ mutationFn: () => ok(api.DELETE('/schedules/{id}', path)), ...settled('Deleted.', 'delete') });
  return (
    <div className="flex flex-wrap gap-2">
      {!schedule.builtin && <button type="button" className="button" onClick={onTicks}>History</button>}
      {may && (!schedule.builtin || schedule.name === 'taskforge.upkeep') && (
        <button type="button" className="button" disabled={run.isPending} onClick={() => run.mutate()}>Run now</button>
      )}
      {may && !schedule.builtin && (
        <>
          <button type="button" className="button" disabled={pause.isPending || resume.isPending} onClick={() => (schedule.paused ? resume.mutate() : pause.mutate())}>
            {schedule.paused ? 'Resume' : 'Pause'}
          </button>
          <button type="button" className="button" onClick={() => setAsking('edit')}>Edit</button>
          <button type="button" className="button" onClick={() => setAsking('delete')}>Delete</button>
        </>
      )}
      {asking === 'edit' && <ScheduleDialog schedule={schedule} onClose={() => setAsking(null)} />}
      {asking === 'delete' && (
        <Confirm title={`Delete ${schedule.name}`} action="Delete" danger busy={remove.isPending} onConfirm={() => remove.mutate()} onClose={() => setAsking(null)}>
          <p>It fires no more. The jobs that it has submitted stay.</p>
        </Confirm>
      )}
    </div>
  );
}

function Ticks({ schedule, onClose }: { schedule: Schedule; onClose: () => void }) {
  const ticks = useQuery({
    queryKey: ['ticks', schedule.id],
    queryFn: () => ok(api.GET('/schedules/{id}/ticks', { params: { path: { id: schedule.id }, query: { limit: 50 } } })),
  });
  return (
    <Dialog title={`History of ${schedule.name}`} wide onClose={onClose}>
      <Loaded query={ticks}>
        {({ items }) =>
          items.length ? (
            <ul className="divide-y divide-line">
              {items.map((tick) => (
                <li key={tick.tick} className="flex flex-wrap justify-between gap-3 py-2">
                  <Time at={tick.tick} exact />
                  <span className="min-w-0 text-right">
                    {tick.job_id ? <Link href={`/jobs/${tick.job_id}`} className="row-link">{statusWords(tick.outcome)}</Link> : statusWords(tick.outcome)}
                    {tick.detail && <span className="block text-xs text-muted">{tick.detail}</span>}
                  </span>
                </li>
              ))}
            </ul>
          ) : (
            <Empty>It has not come to a tick yet.</Empty>
          )
        }
      </Loaded>
    </Dialog>
  );
}
