import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { Link } from 'wouter';

import { api, ok, type Job } from '../lib/api';
import { count } from '../lib/format';
import { useMay } from '../lib/me';
import { Empty, Loaded, PageHead } from '../ui/panel';
import { Time } from '../ui/time';
import { complain, say } from '../ui/toast';
import { BulkButtons } from './bulk';

const FILTER = { status: 'DEAD_LETTER' };

/** Jobs that failed as often as they may: what went wrong, and another life for them. */
export default function DeadLetter() {
  const may = useMay('operator');
  const queryClient = useQueryClient();
  const refresh = () => void queryClient.invalidateQueries({ queryKey: ['dead-letter'] });
  const dead = useQuery({
    queryKey: ['dead-letter'],
    queryFn: () => ok(api.GET('/jobs', { params: { query: { status: 'DEAD_LETTER', limit: 200, count: 'exact' } } })),
    refetchInterval: 15_000,
  });
  return (
    <>
      <PageHead
        title="Dead letter"
        note={dead.data && `${count(dead.data.total ?? 0)} ${dead.data.total === 1 ? 'job has' : 'jobs have'} no attempts left`}
        aside={may && dead.data?.items.length ? <BulkButtons filter={FILTER} selected={[]} onDone={() => setTimeout(refresh, 1500)} /> : undefined}
      />
      <Loaded query={dead}>
        {({ items, total }) => (items.length ? <Letters jobs={items} total={total ?? items.length} onChange={refresh} /> : <div className="panel"><Empty>No dead letters. What fails as often as it may comes here.</Empty></div>)}
      </Loaded>
    </>
  );
}

function Letters({ jobs, total, onChange }: { jobs: Job[]; total: number; onChange: () => void }) {
  const may = useMay('operator');
  const groups = useMemo(() => {
    const by = new Map<string, Job[]>();
    for (const job of jobs) {
      by.set(job.type, [...(by.get(job.type) ?? []), job]);
    }
    return [...by].sort((a, b) => b[1].length - a[1].length);
  }, [jobs]);
  const retry = useMutation({
    mutationFn: (id: string) => ok(api.POST('/jobs/{id}/retry', { params: { path: { id } } })),
    onSuccess: () => {
      say('It waits again.');
      onChange();
    },
    onError: complain,
  });
  return (
    <div className="space-y-4">
      {groups.map(([type, letters]) => (
        <section key={type} className="panel" aria-label={type}>
          <h2 className="border-b border-line px-4 py-3">{type} <span className="font-normal text-muted">{letters.length}</span></h2>
          <ul className="divide-y divide-line">
            {letters.map((job) => (
              <li key={job.id} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 px-4 py-2">
                <div className="min-w-0 flex-1 basis-64">
                  <Link href={`/jobs/${job.id}`} className="row-link block truncate">{job.name ?? job.id}</Link>
                  <span className="block break-words text-xs text-bad">{job.error}</span>
                </div>
                <span className="text-xs text-muted">{job.queue} · {job.attempt} {job.attempt === 1 ? 'attempt' : 'attempts'} · <Time at={job.finished_at} /></span>
                {may && <button type="button" className="button" disabled={retry.isPending} onClick={() => retry.mutate(job.id)}>Retry</button>}
              </li>
            ))}
          </ul>
        </section>
      ))}
      {total > jobs.length && (
        <p className="text-muted">
          These are the newest {jobs.length}. <Link href="/jobs?status=DEAD_LETTER" className="row-link">All of them</Link>
        </p>
      )}
    </div>
  );
}
