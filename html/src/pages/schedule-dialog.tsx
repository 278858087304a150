import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

import { api, ApiError, explain, ok, type Schedule, type Submission } from '../lib/api';
import { cronWords } from '../lib/cron';
import { parseJson } from '../lib/exact-json';
import { Dialog } from '../ui/dialog';
import { Field } from '../ui/field';
import { Time } from '../ui/time';
import { say } from '../ui/toast';

type Overlap = Schedule['overlap'];
const OVERLAPS: [Overlap, string][] = [
  ['skip', 'skip this time'],
  ['queue', 'let one wait'],
  ['cancel_running', 'cancel the one that runs'],
  ['allow', 'run both'],
];

/** A new schedule, or changes to one. */
export function ScheduleDialog({ schedule, onClose }: { schedule: Schedule | null; onClose: () => void }) {
  const queryClient = useQueryClient();
  const [name, setName] = useState(schedule?.name ?? '');
  const [description, setDescription] = useState(schedule?.description ?? '');
  const [cron, setCron] = useState(schedule?.cron ?? '0 3 * * *');
  const [zone, setZone] = useState(schedule?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone);
  const [overlap, setOverlap] = useState<Overlap>(schedule?.overlap ?? 'skip');
  const [jitter, setJitter] = useState(String(schedule?.jitter_seconds ?? 0));
  const [catchUp, setCatchUp] = useState(String(schedule?.catch_up_seconds ?? 60));
  const [job, setJob] = useState(JSON.stringify(schedule?.job ?? { type: 'noop' }, null, 2));
  const save = useMutation({
    mutationFn: async () => {
      const body = {
        name, description: description || null, cron, time_zone: zone, overlap,
        jitter_seconds: Number(jitter), catch_up_seconds: Number(catchUp), job: parse(job),
      };
      await (schedule ? ok(api.PATCH('/schedules/{id}', { params: { path: { id: schedule.id } }, body })) : ok(api.POST('/schedules', { body })));
    },
    onSuccess: () => {
      say('Saved.');
      void queryClient.invalidateQueries({ queryKey: ['schedules'] });
    },
  });
  // onClose is with the order itself: an answer that comes after the dialog was closed closes no other
  const fields = save.error instanceof ApiError ? save.error.fields : {};
  return (
    <Dialog title={schedule ? `Edit ${schedule.name}` : 'New schedule'} wide guarded onClose={onClose}>
      <form className="space-y-3" onSubmit={(event) => { event.preventDefault(); save.mutate(undefined, { onSuccess: onClose }); }}>
        <div className="grid gap-3 sm:grid-cols-2">
          <Field label="Name" error={fields.name}><input className="input" required maxLength={200} value={name} onChange={(event) => setName(event.target.value)} /></Field>
          <Field label="Description" error={fields.description}><input className="input" value={description} onChange={(event) => setDescription(event.target.value)} /></Field>
          <Field label="Cron expression" hint={cronWords(cron) ?? 'Five fields, six with seconds, @daily, or @every 90s'} error={fields.cron}>
            <input className="input font-mono" required value={cron} onChange={(event) => setCron(event.target.value)} />
          </Field>
          <Field label="Time zone" error={fields.time_zone}><input className="input" required value={zone} onChange={(event) => setZone(event.target.value)} /></Field>
        </div>
        <Preview cron={cron} zone={zone} />
        <div className="grid items-start gap-3 sm:grid-cols-[minmax(0,2fr)_minmax(0,1fr)_minmax(0,1fr)]">
          <Field label="While one of its jobs has not ended" error={fields.overlap}>
            <select className="input" value={overlap} onChange={(event) => setOverlap(event.target.value as Overlap)}>
              {OVERLAPS.map(([value, words]) => (
                <option key={value} value={value}>{words}</option>
              ))}
            </select>
          </Field>
          <Field label="Jitter, seconds" hint="At most so much later" error={fields.jitter_seconds}>
            <input className="input" type="number" required min={0} max={86_400} value={jitter} onChange={(event) => setJitter(event.target.value)} />
          </Field>
          <Field label="Catch up, seconds" hint="So late it may still fire" error={fields.catch_up_seconds}>
            <input className="input" type="number" required min={10} max={604_800} value={catchUp} onChange={(event) => setCatchUp(event.target.value)} />
          </Field>
        </div>
        <Field label="The job, JSON" hint="What POST /jobs takes, without times" error={Object.entries(fields).find(([key]) => key.startsWith('job'))?.join(': ')}>
          <textarea className="input" rows={8} spellCheck={false} value={job} onChange={(event) => setJob(event.target.value)} />
        </Field>
        {save.isError && <p role="alert" className="break-words text-bad">{explain(save.error)}</p>}
        <div className="flex justify-end"><button className="button button-primary" disabled={save.isPending}>Save</button></div>
      </form>
    </Dialog>
  );
}

function Preview({ cron, zone }: { cron: string; zone: string }) {
  const [asked, setAsked] = useState({ cron, zone });
  useEffect(() => {
    const timer = setTimeout(() => setAsked({ cron, zone }), 500);
    return () => clearTimeout(timer);
  }, [cron, zone]);
  const preview = useQuery({
    queryKey: ['schedule-preview', asked],
    queryFn: () => ok(api.POST('/schedules/preview', { body: { cron: asked.cron, time_zone: asked.zone } })),
    staleTime: 60_000,
  });
  return (
    <p className={`text-xs ${preview.isError ? 'text-bad' : 'text-muted'}`} role="status">
      {preview.isError ? (
        explain(preview.error)
      ) : preview.data ? (
        <>Fires {preview.data.next_runs.slice(0, 3).map((at, index) => <span key={at}>{index > 0 && ', '}<Time at={at} exact /></span>)}, …</>
      ) : (
        '…'
      )}
    </p>
  );
}

function parse(text: string): Submission {
  try {
    return parseJson(text) as Submission;
  } catch {
    throw new Error('The job is not JSON; nothing was saved.');
  }
}
