import type { JobStatus } from '../lib/api';

export type Tone = 'waiting' | 'running' | 'good' | 'warning' | 'bad' | 'dead' | 'muted';

export const TONES: Record<JobStatus, Tone> = {
  QUEUED: 'waiting',
  SCHEDULED: 'muted',
  RUNNING: 'running',
  RETRYING: 'warning',
  SUCCESS: 'good',
  FAILED: 'bad',
  DEAD_LETTER: 'dead',
  CANCELLED: 'muted',
};

const TEXT: Record<Tone, string> = {
  waiting: 'text-waiting',
  running: 'text-running',
  good: 'text-good',
  warning: 'text-warning',
  bad: 'text-bad',
  dead: 'text-dead',
  muted: 'text-muted',
};
export const FILL: Record<Tone, string> = {
  waiting: 'bg-waiting',
  running: 'bg-running',
  good: 'bg-good',
  warning: 'bg-warning',
  bad: 'bg-bad',
  dead: 'bg-dead',
  muted: 'bg-muted',
};

export const statusWords = (status: string): string => {
  const words = status.toLowerCase().replace('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
};

/** A state in words, with its colour as a dot: the word alone says it too. */
export function Mark({ tone, children, moving }: { tone: Tone; children: string; moving?: boolean }) {
  return (
    <span className={`inline-flex items-center gap-2 whitespace-nowrap font-medium ${TEXT[tone]}`}>
      <span aria-hidden className={`size-2 shrink-0 rounded-full ${FILL[tone]} ${moving ? 'breathe' : ''}`} />
      {children}
    </span>
  );
}

export function JobState({ status }: { status: JobStatus }) {
  return (
    <Mark tone={TONES[status]} moving={status === 'RUNNING'}>
      {statusWords(status)}
    </Mark>
  );
}

const WORKER_TONES: Record<string, Tone> = { online: 'good', quiet: 'warning', stopping: 'warning', stuck: 'bad', lost: 'bad', offline: 'muted' };
const QUEUE_TONES: Record<string, Tone> = { active: 'good', paused: 'warning', draining: 'warning' };

export function WorkerState({ status }: { status: string }) {
  return <Mark tone={WORKER_TONES[status] ?? 'muted'}>{statusWords(status)}</Mark>;
}

export function QueueState({ state }: { state: string }) {
  return <Mark tone={QUEUE_TONES[state] ?? 'muted'}>{statusWords(state)}</Mark>;
}
