// Which of a filter's jobs an action can change, as POST /jobs/actions wants it.
import type { JobStatus } from './api';
import type { Filter } from './filters';

export type Action = 'cancel' | 'retry' | 'delete';

const CHANGES: Record<Action, JobStatus[]> = {
  cancel: ['SCHEDULED', 'QUEUED', 'RETRYING', 'RUNNING'],
  retry: ['FAILED', 'DEAD_LETTER', 'CANCELLED'],
  delete: ['SUCCESS', 'FAILED', 'DEAD_LETTER', 'CANCELLED'],
};

export const mayChange = (action: Action, status: JobStatus): boolean => CHANGES[action].includes(status);

export interface BulkFilter {
  status: JobStatus[];
  ids?: string[];
  type?: string;
  queue?: string;
  priority?: string;
  q?: string;
  created_after?: string;
  created_before?: string;
  created_by?: string;
}

/** null: none of the filter's jobs can be changed so. */
export function bulkFilter(action: Action, filter: Filter): BulkFilter | null {
  const asked = (filter.status ?? '').split(',').filter(Boolean);
  const status = CHANGES[action].filter((one) => !asked.length || asked.includes(one));
  if (!status.length) {
    return null;
  }
  const rest = Object.fromEntries(Object.entries(filter).filter(([key]) => key !== 'status' && key !== 'internal'));
  return { ...rest, status };
}
