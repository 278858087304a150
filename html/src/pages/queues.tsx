import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';

import { api, ApiError, explain, ok, type Queue } from '../lib/api';
import { count, duration } from '../lib/format';
import { useMay } from '../lib/me';
import { levelName } from '../lib/presets';
import { Dialog } from '../ui/dialog';
import { Field } from '../ui/field';
import { More, usePages } from '../ui/pages';
import { Empty, Loaded, PageHead } from '../ui/panel';
import { QueueState, statusWords } from '../ui/status';
import { complain, say } from '../ui/toast';

const PAGE = { limit: 100, refetchInterval: 5000 };

type Order = 'pause' | 'resume' | 'drain';

export default function Queues() {
  const { query: queues, items } = usePages<Queue>(['queues', 'pages'], (query) => ok(api.GET('/queues', { params: { query } })), PAGE);
  return (
    <>
      <PageHead title="Queues" />
      <Loaded query={queues}>
        {() =>
          items.length ? (
            <ul className="space-y-3">
              {items.map((queue) => (
                <QueueCard key={queue.name} queue={queue} />
              ))}
            </ul>
          ) : (
            <div className="panel"><Empty>A queue is there as soon as a job is submitted to it.</Empty></div>
          )
        }
      </Loaded>
      <More query={queues} />
    </>
  );
}

function QueueCard({ queue }: { queue: Queue }) {
  const figures: [string, string][] = [
    ['Waiting', count(queue.waiting)],
    ['Oldest', duration(queue.oldest_age_seconds)],
    ['Running', count(queue.running)],
    ['Scheduled', count(queue.scheduled)],
    ['Retrying', count(queue.retrying)],
    ['Workers', count(queue.workers)],
    ['Limit', queue.max_length === null ? 'none' : count(queue.max_length)],
  ];
  return (
    <li className="panel p-4" aria-label={queue.name}>
      <div className="flex flex-wrap items-center justify-between gap-2">
        <h2 className="flex min-w-0 flex-wrap items-center gap-x-3">
          <Link href={`/jobs?queue=${encodeURIComponent(queue.name)}`} className="row-link text-base font-semibold [overflow-wrap:anywhere]">{queue.name}</Link>
          <QueueState state={queue.state} />
        </h2>
        <Orders queue={queue} />
      </div>
      <dl className="mt-3 grid grid-cols-3 gap-3 sm:grid-cols-7">
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt className="text-xs text-muted">{name}</dt>
            <dd className="whitespace-nowrap tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
      {queue.levels.length > 0 && (
        <ul aria-label="Waiting by priority" className="mt-3 flex flex-wrap gap-x-4 gap-y-1 text-xs text-muted">
          {queue.levels.map((level) => (
            <li key={level.priority}>{levelName(level.priority)} ({level.priority}): {count(level.waiting)}, oldest {duration(level.oldest_age_seconds)}</li>
          ))}
        </ul>
      )}
      {queue.retention_days && (
        <p className="mt-3 text-xs text-muted">
          Kept: {Object.entries(queue.retention_days).map(([status, days]) => `${statusWords(status)} ${days} d`).join(', ')}
        </p>
      )}
      {queue.note && <p className="mt-3 break-words text-xs text-muted">{queue.note}</p>}
      {queue.workers === 0 && queue.waiting > 0 && <p className="mt-3 text-warning">No living worker serves this queue.</p>}
    </li>
  );
}

function Orders({ queue }: { queue: Queue }) {
  const may = useMay('admin');
  const queryClient = useQueryClient();
  const [editing, setEditing] = useState(false);
  const path = { params: { path: { name: queue.name } } };
  const done = () => void queryClient.invalidateQueries({ queryKey: ['queues'] });
  const order = useMutation({
    mutationFn: (what: Order) =>
      what === 'pause' ? ok(api.POST('/queues/{name}/pause', path)) : what === 'resume' ? ok(api.POST('/queues/{name}/resume', path)) : ok(api.POST('/queues/{name}/drain', path)),
    onSuccess: (changed) => {
      say(`${queue.name} is ${changed.state} now.`);
      done();
    },
    onError: complain,
  });
  if (!may) {
    return null;
  }
  return (
    <div className="flex flex-wrap gap-2">
      {queue.state === 'active' ? (
        <>
          <button type="button" className="button" disabled={order.isPending} onClick={() => order.mutate('pause')}>Pause</button>
          <button type="button" className="button" disabled={order.isPending} onClick={() => order.mutate('drain')}>Drain</button>
        </>
      ) : (
        <button type="button" className="button button-primary" disabled={order.isPending} onClick={() => order.mutate('resume')}>Resume</button>
      )}
      <button type="button" className="button" onClick={() => setEditing(true)}>Edit</button>
      {editing && <RulesDialog queue={queue} onDone={done} onClose={() => setEditing(false)} />}
    </div>
  );
}

const ENDS = ['SUCCESS', 'FAILED', 'DEAD_LETTER', 'CANCELLED'] as const;

function RulesDialog({ queue, onDone, onClose }: { queue: Queue; onDone: () => void; onClose: () => void }) {
  const [limit, setLimit] = useState(queue.max_length === null ? '' : String(queue.max_length));
  const [note, setNote] = useState(queue.note ?? '');
  const [days, setDays] = useState(() => new Map(ENDS.map((status) => [status, String(queue.retention_days?.[status] ?? '')])));
  const save = useMutation({
    mutationFn: () => {
      const kept: Partial<Record<(typeof ENDS)[number], number>> = {};
      for (const status of ENDS.filter((end) => days.get(end))) {
        kept[status] = Number(days.get(status));
      }
      const body = {
        max_length: limit === '' ? null : Number(limit), note: note || null, retention_days: Object.keys(kept).length ? kept : null,
      };
      return ok(api.PATCH('/queues/{name}', { params: { path: { name: queue.name } }, body }));
    },
    onSuccess: onDone,
  });
  const fields = save.error instanceof ApiError ? save.error.fields : {};
  // whether all that is wrong stands at its field
  const places = Object.keys(fields);
  const placed = places.length > 0 && places.every((place) => ['max_length', 'retention_days', 'note'].includes(place));
  return (
    <Dialog title={`Rules of ${queue.name}`} onClose={onClose}>
      <form className="space-y-3" onSubmit={(event) => { event.preventDefault(); save.mutate(undefined, { onSuccess: onClose }); }}>
        <Field label="Jobs that may wait" hint="Empty: any number. More are refused with 429." error={fields.max_length}>
          <input className="input" type="number" min={1} value={limit} onChange={(event) => setLimit(event.target.value)} />
        </Field>
        <fieldset>
          <legend className="text-xs font-medium">Days that jobs are kept after their end</legend>
          <div className="mt-1 grid grid-cols-2 gap-3">
            {ENDS.map((status) => (
              <Field key={status} label={statusWords(status)}>
                <input
                  className="input" type="number" min={0.01} max={3650} step="any" value={days.get(status)}
                  onChange={(event) => setDays(new Map(days).set(status, event.target.value))}
                />
              </Field>
            ))}
          </div>
          <p className={`text-xs ${fields.retention_days ? 'text-bad' : 'text-muted'}`}>
            {fields.retention_days ?? 'Empty: as the settings of the scheduler say.'}
          </p>
        </fieldset>
        <Field label="Note" error={fields.note}>
          <input className="input" value={note} onChange={(event) => setNote(event.target.value)} />
        </Field>
        {save.isError && !placed && <p role="alert" className="break-words text-bad">{explain(save.error)}</p>}
        <button className="button button-primary" disabled={save.isPending}>Save</button>
      </form>
    </Dialog>
  );
}
