import type { JobWhole } from '../lib/api';
import { duration } from '../lib/format';
import { isFinal } from '../lib/patch';
import { FILL, statusWords, TONES } from '../ui/status';
import { Time } from '../ui/time';

interface Step {
  at: string | null;
  words: string;
  fill: string;
}

/** What is known of the job's way, oldest first. */
function stepsOf(job: JobWhole): Step[] {
  const steps: Step[] = [{ at: job.created_at, words: 'Submitted', fill: FILL.waiting }];
  if (job.scheduled_at && job.scheduled_at > job.created_at) {
    steps.push({ at: job.scheduled_at, words: 'Scheduled for', fill: FILL.muted });
  }
  for (const error of job.errors) {
    steps.push({ at: error.at, words: `Attempt ${error.attempt} failed`, fill: FILL.bad });
  }
  if (job.retried_at) {
    steps.push({ at: job.retried_at, words: 'Retried by hand', fill: FILL.waiting });
  }
  if (job.started_at) {
    steps.push({ at: job.started_at, words: `Attempt ${job.attempt} began`, fill: FILL.running });
  }
  if (job.finished_at && isFinal(job.status)) {
    steps.push({ at: job.finished_at, words: statusWords(job.status), fill: FILL[TONES[job.status]] });
  }
  steps.sort((a, b) => (a.at ?? '').localeCompare(b.at ?? ''));
  if (job.status === 'RETRYING') {
    steps.push({ at: job.run_at, words: 'Next attempt', fill: FILL.warning });
  }
  return steps;
}

/** How long after the step before it. */
function after(step: Step, before: Step | undefined): string {
  const seconds = step.at && before?.at ? (Date.parse(step.at) - Date.parse(before.at)) / 1000 : 0;
  return seconds > 0 ? `+${duration(seconds)}` : '';
}

export function JobTimeline({ job }: { job: JobWhole }) {
  return (
    <ol className="p-4">
      {stepsOf(job).map((step, index, all) => (
        <li key={`${step.words} ${step.at ?? ''}`} className="relative flex gap-3 pb-4 last:pb-0">
          {index < all.length - 1 && <span aria-hidden className="absolute left-1 top-3 h-full w-px bg-line" />}
          <span aria-hidden className={`relative mt-1.5 size-2.5 shrink-0 rounded-full ${step.fill}`} />
          <span className="min-w-0 flex-1">
            <span className="block font-medium">{step.words}</span>
            <span className="flex flex-wrap justify-between gap-x-3 text-xs text-muted">
              {step.at && <Time at={step.at} exact />}
              <span className="whitespace-nowrap tabular-nums">{after(step, all[index - 1])}</span>
            </span>
          </span>
        </li>
      ))}
    </ol>
  );
}
