// The API: typed by the document, with the session's token, its errors as one kind of exception.
import createClient from 'openapi-fetch';

import { noteDate } from './clock';
import { parseJson } from './exact-json';
import type { components, paths } from './schema';
import { session } from './session';

type Schemas = components['schemas'];
export type Job = Schemas['JobSummary'];
export type JobWhole = Schemas['JobWhole'];
export type JobStatus = Schemas['JobStatus'];
export type JobError = Schemas['JobError'];
export type JobFile = Schemas['JobFile'];
export type LogLine = Schemas['LogLine'];
export type Worker = Schemas['Worker'];
export type Queue = Schemas['Queue'];
export type Schedule = Schemas['Schedule'];
export type Stats = Schemas['Stats'];
export type Summary = Schemas['Summary'];
export type Submission = Schemas['Submission'];
export type Delivery = Schemas['Delivery'];
export type User = Schemas['User'];
export type ApiKey = Schemas['ApiKey'];
export type AuditRow = Schemas['AuditRow'];
export type Event = Schemas['Event'];
export type Problem = Schemas['Problem'];
export type Role = Schemas['Role'];
export type Why = Schemas['Why'];

/** A refusal of the API (RFC 9457). retryAfter: seconds, where the server said so. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
    readonly retryAfter: number | null,
  ) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`);
  }

  /** What is wrong with each member of the body: pointer without "#/" to words. */
  get fields(): Record<string, string> {
    const errors = this.problem.errors ?? [];
    return Object.fromEntries(errors.map((error) => [(error.pointer ?? error.parameter ?? '').replace(/^#?\//, ''), error.detail]));
  }

  /** Everything that was said, for a message that has no fields beside it. */
  get words(): string {
    const errors = this.problem.errors?.map((error) => `${error.pointer ?? error.parameter ?? ''} ${error.detail}`.trim());
    return errors?.length ? errors.join('; ') : this.message;
  }
}

export const api = createClient<paths>({
  baseUrl: '/api/v1',
  fetch: async (request) => {
    const answer = await session.fetch(request);
    noteDate(answer.headers.get('Date'));
    return answer;
  },
});

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer; throws ApiError for a refusal. */
export async function ok<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) {
    const after = Number(response.headers.get('Retry-After'));
    throw new ApiError(response.status, typeof error === 'object' && error ? error : {}, after > 0 ? after : null);
  }
  return data as T;
}

/** For useQuery: one job whole, the numbers in it with all their digits. A copy of them by TanStack's sharing would be none. */
export const jobQuery = (id: string) => ({
  queryKey: ['job', id],
  queryFn: async () => parseJson(await ok(api.GET('/jobs/{id}', { params: { path: { id } }, parseAs: 'text' }))) as JobWhole,
  structuralSharing: false,
});

/** Words for whatever was thrown. */
export function explain(error: unknown): string {
  if (error instanceof ApiError) {
    return error.words;
  }
  return error instanceof TypeError ? 'The server cannot be reached.' : error instanceof Error ? error.message : String(error);
}
