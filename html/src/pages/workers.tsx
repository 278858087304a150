import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';

import { api, ok, type Worker } from '../lib/api';
import { serverNow } from '../lib/clock';
import { count, duration, fileSize, perSecond } from '../lib/format';
import { useMay } from '../lib/me';
import { busySlots, isAlive, poolsOf, readWorkers, sumsOf, type Sums } from '../lib/workers';
import { Confirm, Dialog } from '../ui/dialog';
import { Field } from '../ui/field';
import { Empty, Loaded, PageHead } from '../ui/panel';
import { WorkerState } from '../ui/status';
import { Elapsed, Time } from '../ui/time';
import { complain, say } from '../ui/toast';

type Order = 'quiet' | 'resume' | 'stop';

const READ_AGAIN_MS = 5000;
const CARDS_SHOWN = 60;

export default function Workers() {
  const workers = useQuery({
    queryKey: ['workers'],
    queryFn: ({ signal }) => readWorkers(signal),
    // the limits count each page
    refetchInterval: ({ state }) => READ_AGAIN_MS * (state.data?.pages ?? 1),
  });
  return (
    <>
      <PageHead title="Workers" note={workers.data && <Total sums={sumsOf(workers.data.items)} more={workers.data.more} />} />
      <Loaded query={workers}>
        {({ items }) =>
          items.length ? (
            <div className="space-y-6">
              {poolsOf(items).map(([pool, members]) => (
                <Pool key={pool} name={pool} workers={members} />
              ))}
            </div>
          ) : (
            <div className="panel"><Empty>No worker has ever registered. Start taskforge-worker.</Empty></div>
          )
        }
      </Loaded>
    </>
  );
}

function Total({ sums, more = false }: { sums: Sums; more?: boolean }) {
  return (
    <>
      {count(sums.alive)}{sums.all > sums.alive && ` of ${count(sums.all)}`} alive, {count(sums.busy)} of {count(sums.slots)} slots busy
      {sums.perSecond !== null && `, ${perSecond(sums.perSecond)}`}
      {sums.memory !== null && `, ${fileSize(sums.memory)}`}
      {more && '; there are more workers than these'}
    </>
  );
}

function Pool({ name, workers }: { name: string; workers: Worker[] }) {
  const [shown, setShown] = useState(CARDS_SHOWN);
  return (
    <section aria-label={`Pool ${name}`}>
      <div className="mb-2 flex flex-wrap items-baseline justify-between gap-x-4">
        <h2 className="min-w-0 text-base [overflow-wrap:anywhere]">{name}</h2>
        <p className="text-xs text-muted"><Total sums={sumsOf(workers)} /></p>
      </div>
      <div className="grid gap-4 lg:grid-cols-2 2xl:grid-cols-3">
        {workers.slice(0, shown).map((worker) => (
          <WorkerCard key={worker.id} worker={worker} />
        ))}
      </div>
      {workers.length > shown && (
        <div className="p-3 text-center">
          <button type="button" className="button" onClick={() => setShown(shown + CARDS_SHOWN)}>Show more ({count(workers.length - shown)})</button>
        </div>
      )}
    </section>
  );
}

function WorkerCard({ worker }: { worker: Worker }) {
  const alive = isAlive(worker);
  const share = worker.concurrency ? busySlots(worker) / worker.concurrency : 0;
  return (
    <article className="panel" aria-label={`${worker.hostname} / ${worker.pool}`}>
      <header className="flex flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-3">
        <h3 className="min-w-0 truncate">{worker.hostname} <span className="font-normal text-muted">/ {worker.pool}</span></h3>
        <WorkerState status={worker.status} />
      </header>
      <div className="space-y-3 p-4">
        <div>
          <div className="flex justify-between text-xs text-muted">
            <span>{alive && `${busySlots(worker)} of `}{worker.concurrency} slots{alive && ' busy'}</span>
            <span>beat <Time at={worker.heartbeat_at} /></span>
          </div>
          <div className="mt-1 h-1.5 overflow-hidden rounded-full bg-raised">
            <div className="h-full rounded-full bg-running transition-[width]" style={{ width: `${share * 100}%` }} />
          </div>
        </div>
        <dl className="grid grid-cols-3 gap-3">
          {[
            ['Processed', count(worker.processed), perSecond(worker.processed_per_second)],
            ['Failed', count(worker.failed), perSecond(worker.failed_per_second)],
            ['Up for', alive ? duration(Math.max(1, Math.round((serverNow() - Date.parse(worker.started_at)) / 1000))) : '–'],
            ['Memory', worker.memory_bytes === null ? '–' : fileSize(worker.memory_bytes)],
            ['CPU', worker.cpu_percent === null ? '–' : `${worker.cpu_percent.toFixed(worker.cpu_percent < 10 ? 1 : 0)} %`],
          ].map(([name, value, rate]) => (
            <div key={name}>
              <dt className="text-xs text-muted">{name}</dt>
              <dd className="tabular-nums">{value}</dd>
              {rate && <dd className="text-xs tabular-nums text-muted" title="over the last minute">{rate}</dd>}
            </div>
          ))}
        </dl>
        <p className="break-words text-xs text-muted">
          Queues {worker.queues.join(', ')}
          {worker.lowest_priority > 0 && ` · from level ${worker.lowest_priority}`} · pid {worker.pid} · {worker.version}
          {worker.desired_concurrency !== null && worker.desired_concurrency !== worker.concurrency && ` · told to run ${worker.desired_concurrency}`}
          {worker.desired_status !== null && worker.desired_status !== worker.status && ` · told to be ${worker.desired_status}`}
          {Object.entries(worker.labels ?? {}).map(([name, value]) => ` · ${name}=${value}`).join('')}
        </p>
        <ActiveJobs worker={worker} />
        <Orders worker={worker} alive={alive} />
      </div>
    </article>
  );
}

const JOBS_SHOWN = 5;

function ActiveJobs({ worker }: { worker: Worker }) {
  if (!worker.active_jobs.length) {
    return null;
  }
  const more = worker.active_jobs.length - JOBS_SHOWN;
  return (
    <ul className="divide-y divide-line border-y border-line">
      {worker.active_jobs.slice(0, JOBS_SHOWN).map((job) => (
        <li key={job.id} className="flex justify-between gap-3 py-1.5">
          <Link href={`/jobs/${job.id}`} className="row-link truncate">{job.type}</Link>
          <span className="whitespace-nowrap text-xs text-muted">{job.progress ? `${job.progress} % · ` : ''}<Elapsed since={job.started_at} seconds={null} /></span>
        </li>
      ))}
      {more > 0 && <li className="py-1.5 text-xs text-muted">and {more} more</li>}
    </ul>
  );
}

function Orders({ worker, alive }: { worker: Worker; alive: boolean }) {
  const may = useMay('admin');
  const queryClient = useQueryClient();
  const [asking, setAsking] = useState<'stop' | 'resize' | 'forget' | null>(null);
  const [slots, setSlots] = useState(worker.concurrency);
  const path = { params: { path: { id: worker.id } } };
  // its own dialog closes, not another that was opened meanwhile
  const given = (dialog: typeof asking) => {
    say('The order is given.');
    setAsking((now) => (now === dialog ? null : now));
    void queryClient.invalidateQueries({ queryKey: ['workers'] });
  };
  const order = useMutation({
    mutationFn: (what: Order) =>
      what === 'quiet' ? ok(api.POST('/workers/{id}/quiet', path)) : what === 'resume' ? ok(api.POST('/workers/{id}/resume', path)) : ok(api.POST('/workers/{id}/stop', path)),
    onSuccess: (_, what) => given(what === 'stop' ? 'stop' : null),
    onError: complain,
  });
  const resize = useMutation({ mutationFn: () => ok(api.POST('/workers/{id}/concurrency', { ...path, body: { concurrency: slots } })), onSuccess: () => given('resize'), onError: complain });
  const forget = useMutation({ mutationFn: () => ok(api.DELETE('/workers/{id}', path)), onSuccess: () => given('forget'), onError: complain });
  if (!may) {
    return null;
  }
  const quiet = (worker.desired_status ?? worker.status) === 'quiet';
  return (
    <div className="flex flex-wrap gap-2">
      {alive ? (
        <>
          <button type="button" className="button" disabled={order.isPending} onClick={() => order.mutate(quiet ? 'resume' : 'quiet')}>{quiet ? 'Resume' : 'Quiet'}</button>
          <button type="button" className="button" disabled={resize.isPending} onClick={() => setAsking('resize')}>Resize</button>
          <button type="button" className="button button-danger" onClick={() => setAsking('stop')}>Stop</button>
        </>
      ) : (
        <button type="button" className="button" onClick={() => setAsking('forget')}>Forget</button>
      )}
      {asking === 'stop' && (
        <Confirm title={`Stop ${worker.hostname} / ${worker.pool}`} action="Stop" danger busy={order.isPending} onConfirm={() => order.mutate('stop')} onClose={() => setAsking(null)}>
          <p>It takes no more jobs, lets those that run end, and leaves. Somebody must start it again.</p>
        </Confirm>
      )}
      {asking === 'forget' && (
        <Confirm title={`Forget ${worker.hostname} / ${worker.pool}`} action="Forget" busy={forget.isPending} onConfirm={() => forget.mutate()} onClose={() => setAsking(null)}>
          <p>It goes from this list until it registers again.</p>
        </Confirm>
      )}
      {asking === 'resize' && (
        <Dialog title={`Resize ${worker.hostname} / ${worker.pool}`} onClose={() => setAsking(null)}>
          <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); resize.mutate(); }}>
            <Field label="Jobs at once" hint="Until the worker restarts">
              <input className="input" type="number" min={1} max={1024} required value={slots} onChange={(event) => setSlots(Number(event.target.value))} />
            </Field>
            <button className="button button-primary" disabled={resize.isPending}>Resize</button>
          </form>
        </Dialog>
      )}
    </div>
  );
}
