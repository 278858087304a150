import { useQuery } from '@tanstack/react-query';

import { api, ok } from './api';
import type { Schema } from './schema-form';

export interface JobType {
  type: string;
  description: string;
  schema: Schema;
}

/** The types that workers have registered, with the schema of their payload. */
export function useJobTypes(): JobType[] {
  const types = useQuery({ queryKey: ['job-types'], queryFn: () => ok(api.GET('/job-types')), staleTime: 60_000 });
  return (types.data?.items ?? []).map(({ type, description, payload_schema }) => ({ type, description, schema: payload_schema }));
}
