import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api, explain, ok, type Job } from '../lib/api';
import { bulkFilter, mayChange, type Action, type BulkFilter } from '../lib/bulk';
import type { Filter } from '../lib/filters';
import { count } from '../lib/format';
import { readJobsAgain, whenEnded } from '../lib/live';
import { statusWords } from '../ui/status';
import { complain, say } from '../ui/toast';
import { Confirm } from '../ui/dialog';

const ACTIONS: Action[] = ['cancel', 'retry', 'delete'];

interface Props {
  filter: Filter;
  selected: Job[];
  /** ids: of those that were selected, where it was for these */
  onDone: (ids: readonly string[]) => void;
}

/** Cancel, retry or delete what is selected, or everything that the filter means. */
export function BulkButtons({ filter, selected, onDone }: Props) {
  // as it was when it was asked for: what is selected may leave the list behind the dialog, and must not become "all that fit"
  const [asked, setAsked] = useState<{ action: Action; filter: BulkFilter } | null>(null);
  const offered = selected.length
    ? ACTIONS.filter((one) => selected.some((job) => mayChange(one, job.status)))
    : Object.keys(filter).length
      ? ACTIONS.filter((one) => bulkFilter(one, filter) !== null)
      : [];
  const ask = (action: Action) => {
    const target = bulkFilter(action, selected.length ? {} : filter);
    setAsked(target && { action, filter: selected.length ? { ...target, ids: selected.map((job) => job.id) } : target });
  };
  return (
    <>
      {offered.map((one) => (
        <button key={one} type="button" className="button" onClick={() => ask(one)}>
          {statusWords(one)} {selected.length ? 'selected' : 'all that fit'}
        </button>
      ))}
      {asked && (
        <BulkDialog
          action={asked.action}
          filter={asked.filter}
          onClose={() => setAsked(null)}
          onDone={() => onDone(asked.filter.ids ?? [])}
        />
      )}
    </>
  );
}

function BulkDialog({ action, filter, onClose, onDone }: { action: Action; filter: BulkFilter; onClose: () => void; onDone: () => void }) {
  const preview = useQuery({
    queryKey: ['bulk-preview', action, filter],
    queryFn: () => ok(api.POST('/jobs/actions', { body: { action, filter, dry_run: true } })),
    gcTime: 0,
  });
  const run = useMutation({
    mutationFn: () => ok(api.POST('/jobs/actions', { body: { action, filter } })),
    onSuccess: (made) => {
      say(`${statusWords(action)} is under way, in the background.`, 'id' in made ? { href: `/jobs/${made.id}`, words: 'Follow it' } : undefined);
      // of what is deleted no event tells; the first ones are gone soon, the last of many later
      setTimeout(readJobsAgain, 1500);
      if ('id' in made) {
        whenEnded(made.id, readJobsAgain);
      }
      onDone();
    },
    onError: complain,
  });
  const found = preview.data && 'count' in preview.data ? preview.data : null;
  return (
    <Confirm title={`${statusWords(action)} jobs`} action={found ? `${statusWords(action)} ${count(found.count)}` : statusWords(action)} danger={action !== 'retry'} busy={!found?.count || run.isPending} onConfirm={() => run.mutate(undefined, { onSuccess: onClose })} onClose={onClose}>
      {preview.isError ? (
        <p role="alert" className="text-bad">{explain(preview.error)}</p>
      ) : found ? (
        <p>
          <strong>{found.more ? 'More than ' : ''}{count(found.count)}</strong> {found.count === 1 ? 'job' : 'jobs'} can be changed so at this moment.
          {action === 'delete' && ' Their errors, logs and files go too; there is no way back.'}
          {action === 'cancel' && ' What waits never runs, what runs is stopped.'}
        </p>
      ) : (
        <p role="status" className="text-muted">Counting …</p>
      )}
    </Confirm>
  );
}
