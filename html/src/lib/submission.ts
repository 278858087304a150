// A job as it is submitted.
import type { JobWhole, Submission } from './api';
import { withMember } from './schema-form';

const LEVELS: Record<JobWhole['priority'], number> = { low: 2, normal: 5, high: 8, critical: 10 };

/** What would have to be submitted to get such a job again. Times that have passed are left out: they would be refused. */
export function copyOf(job: JobWhole, now: number): Submission {
  const ahead = (time: string | null): boolean => time !== null && Date.parse(time) > now;
  return {
    type: job.type,
    payload: job.payload ?? {},
    queue: job.queue,
    // a name means one level of several
    priority: LEVELS[job.priority] === job.priority_value ? job.priority : job.priority_value,
    max_retries: job.max_retries,
    ...(job.name ? { name: job.name } : {}),
    ...(job.metadata && Object.keys(job.metadata).length ? { metadata: job.metadata } : {}),
    ...(job.scheduled_at && ahead(job.scheduled_at) ? { scheduled_at: job.scheduled_at } : {}),
    ...(job.expires_at && ahead(job.expires_at) ? { expires_at: job.expires_at } : {}),
    ...(job.timeout_seconds ? { timeout_seconds: job.timeout_seconds } : {}),
    ...(job.retry ? { retry: job.retry } : {}),
    ...(job.webhook_url ? { webhook_url: job.webhook_url } : {}),
  };
}

type Retry = NonNullable<Submission['retry']>;

/** With one of its members changed; undefined takes it away, and all of it with the last one. */
export function withRetry<K extends keyof Retry>(retry: Retry | undefined, name: K, value: Retry[K] | undefined): Retry | undefined {
  const changed = withMember(retry ?? {}, name, value) as Retry;
  return Object.keys(changed).length ? changed : undefined;
}
