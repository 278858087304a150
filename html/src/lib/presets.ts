// Ready-made jobs for the types that come with TaskForge.
import type { Submission } from './api';

export interface Preset {
  label: string;
  job: Submission;
}

export const PRESETS: Preset[] = [
  { label: 'Nothing, quickly', job: { type: 'noop' } },
  { label: 'Wait five seconds', job: { type: 'sleep', payload: { seconds: 5 }, name: 'a short nap' } },
  { label: 'Wait half a minute, urgently', job: { type: 'sleep', payload: { seconds: 30 }, priority: 'critical', name: 'an urgent nap' } },
  {
    label: 'Sales by region',
    job: {
      type: 'data_processing',
      name: 'sales by region',
      payload: { dataset: 'sales_q1', operation: 'aggregate', group_by: 'region', columns: ['units', 'revenue'] },
    },
  },
  { label: 'A dataset that is not there', job: { type: 'data_processing', payload: { dataset: 'missing' }, name: 'fails at once' } },
];

export const PRIORITIES = ['low', 'normal', 'high', 'critical'] as const;
export const STATUSES = ['QUEUED', 'SCHEDULED', 'RUNNING', 'RETRYING', 'SUCCESS', 'FAILED', 'DEAD_LETTER', 'CANCELLED'] as const;
