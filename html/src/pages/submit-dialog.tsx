import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';

import { api, ApiError, explain, ok, type Submission } from '../lib/api';
import { parseJson } from '../lib/exact-json';
import { useJobTypes } from '../lib/job-types';
import { readJobsAgain } from '../lib/live';
import { levelName, PRESETS, PRIORITIES } from '../lib/presets';
import { initialPayload } from '../lib/schema-form';
import { Combobox } from '../ui/combobox';
import { Dialog } from '../ui/dialog';
import { Field } from '../ui/field';
import { complain, say } from '../ui/toast';
import { PayloadForm } from './payload-form';
import { SubmitMore } from './submit-more';

const TIMES = [5, 10, 20];

interface Props {
  initial: Submission | undefined;
  onClose: () => void;
}

/** The job as it will be sent, in a form or as JSON: two views of the same thing. */
export default function SubmitDialog({ initial, onClose }: Props) {
  const types = useJobTypes();
  const [job, setJob] = useState<Submission>(initial ?? { type: 'noop' });
  // the fields of the payload are made anew when all of it is another
  const [edition, setEdition] = useState(0);
  const [json, setJson] = useState<string | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const [trouble, setTrouble] = useState<unknown>(null);
  const queryClient = useQueryClient();
  // an answer may be lost on its way: who sends the same job again means the first one
  const sent = useRef({ text: '', key: '' });
  const keyOf = (body: Submission): string => {
    const text = JSON.stringify(body);
    if (sent.current.text !== text) {
      sent.current = { text, key: Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join('-') };
    }
    return sent.current.key;
  };
  const send = useMutation({
    mutationFn: async (times: number) => {
      const body = json === null ? job : parse(json);
      if (times > 1) {
        await submitMany(body, times, keyOf(body));
        return null;
      }
      const key = body.idempotency_key === undefined ? keyOf(body) : undefined;
      return await ok(api.POST('/jobs', { body, params: { header: { 'Idempotency-Key': key } } }));
    },
    onSuccess: (made, times) => {
      say(made ? 'Submitted.' : `${times} jobs submitted.`, made ? { href: `/jobs/${made.id}`, words: 'Show it' } : undefined);
      readJobsAgain();
      void queryClient.invalidateQueries({ queryKey: ['stats'] });
    },
    onError: setTrouble,
  });
  // not another dialog that was opened meanwhile
  const submit = (times: number) => send.mutate(times, { onSuccess: onClose });
  const fields = trouble instanceof ApiError ? trouble.fields : {};
  const set = (change: Partial<Submission>) => setJob({ ...job, ...change });
  const setWhole = (whole: Submission) => {
    setJob(whole);
    setEdition(edition + 1);
    setTrouble(null);
  };
  const setType = (type: string) => {
    const known = types.find((one) => one.type === type);
    if (known && type !== job.type) {
      setWhole({ ...job, type, payload: initialPayload(known.schema) });
    } else {
      set({ type });
    }
  };
  const known = types.find((one) => one.type === job.type);
  // who types the payload as JSON goes on so when the type becomes known meanwhile
  const [rough, setRough] = useState('');
  const typing = `${edition} ${job.type}`;
  const schema = rough === typing ? undefined : known?.schema;
  const toggleJson = () => {
    if (json === null) {
      setJson(JSON.stringify(job, null, 2));
      return;
    }
    try {
      setWhole(parse(json));
      setJson(null);
    } catch (error) {
      complain(error);
    }
  };
  return (
    <Dialog title="Submit a job" wide guarded onClose={onClose}>
      <form
        ref={form}
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          submit(1);
        }}
      >
        <div className="flex flex-wrap items-end justify-between gap-2">
          <Field label="Start from">
            <select
              className="input"
              defaultValue=""
              onChange={(event) => {
                const preset = PRESETS[Number(event.target.value)];
                if (preset && event.target.value) {
                  setWhole(preset.job);
                  setJson(json === null ? null : JSON.stringify(preset.job, null, 2));
                }
              }}
            >
              <option value="">A preset …</option>
              {PRESETS.map((preset, index) => (
                <option key={preset.label} value={index}>{preset.label}</option>
              ))}
            </select>
          </Field>
          <button type="button" className="button" aria-pressed={json !== null} onClick={toggleJson}>
            {json === null ? 'Edit as JSON' : 'Edit as form'}
          </button>
        </div>
        {json !== null ? (
          <Field label="The job as JSON" error={trouble ? explain(trouble) : undefined}>
            <textarea className="input" rows={16} spellCheck={false} value={json} onChange={(event) => setJson(event.target.value)} />
          </Field>
        ) : (
          <>
            <div className="grid gap-3 sm:grid-cols-2">
              <Field label="Type" error={fields.type} hint={known?.description ?? (types.length ? 'No worker knows this type.' : undefined)}>
                <Combobox options={types.map((one) => ({ value: one.type, note: one.description }))} value={job.type} onChange={setType} />
              </Field>
              <Field label="Name" error={fields.name} hint="For people">
                <input className="input" maxLength={200} value={job.name ?? ''} onChange={(event) => set({ name: event.target.value || undefined })} />
              </Field>
              <Field label="Queue" error={fields.queue}>
                <input className="input" placeholder="default" value={job.queue ?? ''} onChange={(event) => set({ queue: event.target.value || undefined })} />
              </Field>
              <Field label="Priority" error={fields.priority}>
                <select className="input" value={String(job.priority ?? 'normal')} onChange={(event) => set({ priority: PRIORITIES.find((name) => name === event.target.value) ?? Number(event.target.value) })}>
                  {PRIORITIES.map((name) => (
                    <option key={name}>{name}</option>
                  ))}
                  {typeof job.priority === 'number' && <option value={job.priority}>{job.priority} ({levelName(job.priority)})</option>}
                </select>
              </Field>
            </div>
            <div onInput={() => schema ?? setRough(typing)}>
              <PayloadForm
                key={`${edition} ${schema ? job.type : ''}`}
                schema={schema}
                payload={job.payload ?? {}}
                errors={fields}
                onChange={(payload) => set({ payload })}
              />
            </div>
            <SubmitMore key={`more ${edition}`} job={job} errors={fields} onChange={set} />
            {trouble !== null && <p role="alert" className="text-bad">{explain(trouble)}</p>}
          </>
        )}
        <div className="sticky -bottom-px z-10 -mx-4 !-mb-4 flex flex-wrap items-center justify-end gap-2 border-t border-line bg-surface px-4 py-3">
          <span className="sr-only mr-auto text-xs text-muted sm:not-sr-only sm:mr-auto">Or several at once:</span>
          {TIMES.map((times) => (
            <button key={times} type="button" className="button" disabled={send.isPending} onClick={() => form.current?.reportValidity() && submit(times)}>
              × {times}
            </button>
          ))}
          <button className="button button-primary" disabled={send.isPending}>
            Submit
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function parse(text: string): Submission {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    throw new Error('This is not JSON; nothing was sent.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error('A job is an object; nothing was sent.');
  }
  return value as Submission;
}

/** Each with a key of its own: sent again, those that are there already stay one. */
async function submitMany(job: Submission, times: number, key: string): Promise<void> {
  if (job.idempotency_key !== undefined) {
    throw new Error('With an idempotency_key of its own it is there once only; nothing was sent.');
  }
  const jobs = Array.from({ length: times }, (_, i) => ({ ...job, idempotency_key: `${key}-${i}` }));
  const { accepted, rejected, items } = await ok(api.POST('/jobs/batch', { body: { jobs } })).catch((error: unknown) => {
    throw error instanceof ApiError ? ofFirst(error) : error;
  });
  if (rejected) {
    // a queue had room for some
    const why = items.find(({ problem }) => problem)?.problem?.detail ?? 'refused';
    throw new Error(`${accepted} of ${times} jobs are submitted. Of the others: ${why}. Press × ${times} again, with nothing changed, to send only those.`);
  }
}

/** The jobs are the same, so what is wrong with the first says it for all. */
function ofFirst({ status, problem, retryAfter }: ApiError): ApiError {
  const first = /^#\/jobs\/0(?=\/|$)/;
  const errors = problem.errors
    ?.filter(({ pointer }) => !pointer?.startsWith('#/jobs/') || first.test(pointer))
    .map((one) => ({ ...one, pointer: one.pointer?.replace(first, '#') }));
  return new ApiError(status, { ...problem, errors }, retryAfter);
}
