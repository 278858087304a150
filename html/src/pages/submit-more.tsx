import { useState } from 'react';

import type { Submission } from '../lib/api';
import { withRetry } from '../lib/submission';
import { Field } from '../ui/field';
import { TimeInput } from '../ui/time-input';
import { JsonField } from './payload-form';

const MEMBERS = [
  'scheduled_at', 'delay_seconds', 'expires_at', 'timeout_seconds', 'max_retries', 'retry', 'webhook_url', 'metadata',
] as const satisfies (keyof Submission)[];

interface Props {
  job: Submission;
  /** what the server says is wrong, by pointer */
  errors: Record<string, string>;
  onChange: (change: Partial<Submission>) => void;
}

/** Everything of a job that has a default; open where something of it is set, or wrong. */
export function SubmitMore({ job, errors, onChange }: Props) {
  const [open, setOpen] = useState(() => MEMBERS.some((name) => job[name] !== undefined));
  const wrong = Object.keys(errors).some((pointer) => MEMBERS.some((name) => pointer.split('/')[0] === name));
  const retry = <K extends keyof NonNullable<Submission['retry']>>(name: K) => (value: NonNullable<Submission['retry']>[K] | undefined) =>
    onChange({ retry: withRetry(job.retry, name, value) });
  return (
    <details open={open || wrong} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="cursor-pointer font-medium">More: when, how often, who is told</summary>
      <div className="mt-3 grid gap-3 sm:grid-cols-2">
        <Field label="Not before" error={errors.scheduled_at}>
          <TimeInput value={job.scheduled_at} onChange={(scheduled_at) => onChange({ scheduled_at, delay_seconds: undefined })} />
        </Field>
        <NumberField label="Or delay, seconds" value={job.delay_seconds} error={errors.delay_seconds} onChange={(delay_seconds) => onChange({ delay_seconds, scheduled_at: undefined })} />
        <Field label="Expires" error={errors.expires_at} hint="Cancelled unless it has started by then">
          <TimeInput value={job.expires_at} onChange={(expires_at) => onChange({ expires_at })} />
        </Field>
        <NumberField label="Timeout of an attempt, seconds" value={job.timeout_seconds} error={errors.timeout_seconds} onChange={(timeout_seconds) => onChange({ timeout_seconds })} />
        <NumberField label="Retries" value={job.max_retries} error={errors.max_retries} onChange={(max_retries) => onChange({ max_retries })} />
        <Field label="Webhook" error={errors.webhook_url} hint="Told when the job has ended">
          <input className="input" type="url" placeholder="https://" value={job.webhook_url ?? ''} onChange={(event) => onChange({ webhook_url: event.target.value || undefined })} />
        </Field>
        <fieldset className="space-y-3 rounded border border-line px-3 pb-3 pt-2 sm:col-span-2">
          <legend className="px-1 text-xs font-medium">Between retries <span className="font-normal text-muted">(empty: as the type says)</span></legend>
          <div className="grid grid-cols-2 gap-3 sm:grid-cols-4">
            <NumberField label="First wait, seconds" value={job.retry?.base_seconds} error={errors['retry/base_seconds']} onChange={retry('base_seconds')} />
            <NumberField label="Longest wait" value={job.retry?.max_seconds} error={errors['retry/max_seconds']} onChange={retry('max_seconds')} />
            <NumberField label="None after, seconds" value={job.retry?.budget_seconds} error={errors['retry/budget_seconds']} onChange={retry('budget_seconds')} />
            <Field label="Spread out" error={errors['retry/jitter']}>
              <select
                className="input"
                value={job.retry?.jitter === undefined ? '' : String(job.retry.jitter)}
                onChange={(event) => retry('jitter')(event.target.value === '' ? undefined : event.target.value === 'true')}
              >
                <option value="">–</option>
                <option value="true">yes</option>
                <option value="false">no</option>
              </select>
            </Field>
          </div>
          {errors.retry && <p role="alert" className="text-xs text-bad">{errors.retry}</p>}
        </fieldset>
        <div className="sm:col-span-2">
          <JsonField
            label="Metadata, JSON"
            hint={'Texts by name, e.g. {"order": "A-1024"}'}
            value={job.metadata}
            error={Object.entries(errors).find(([pointer]) => pointer.split('/')[0] === 'metadata')?.[1]}
            onChange={(metadata) => onChange({ metadata: metadata as Submission['metadata'] })}
          />
        </div>
      </div>
    </details>
  );
}

interface NumberProps {
  label: string;
  value: number | undefined;
  error?: string | undefined;
  onChange: (value: number | undefined) => void;
}

function NumberField({ label, value, error, onChange }: NumberProps) {
  return (
    <Field label={label} error={error}>
      <input className="input" type="number" min={0} step="any" value={value ?? ''} onChange={(event) => onChange(event.target.value === '' ? undefined : Number(event.target.value))} />
    </Field>
  );
}
