import { useInfiniteQuery, useQueryClient, type InfiniteData } from '@tanstack/react-query';
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { Link, useLocation, useSearch } from 'wouter';

import { api, explain, ok, type Job } from '../lib/api';
import { arrivals, countWords } from '../lib/arrivals';
import { filterOf, searchOf, type Filter } from '../lib/filters';
import { live } from '../lib/live';
import { useMay } from '../lib/me';
import type { JobPage } from '../lib/patch';
import { Empty, Failed, Loading, PageHead } from '../ui/panel';
import { Progress } from '../ui/progress';
import { JobState } from '../ui/status';
import { Elapsed, Time } from '../ui/time';
import { BulkButtons } from './bulk';
import { FilterBar } from './jobs-filter';
import { SubmitButton } from './submit-button';

const PAGE = 100;
const ROW = 52;
const SELECTED_MOST = 1000;
const REFRESH_MS = 3000;

export default function Jobs() {
  const [filter, setFilter] = useFilter();
  return (
    <>
      <PageHead title="Jobs" aside={<SubmitButton />} />
      <FilterBar filter={filter} onChange={setFilter} />
      <JobTable filter={filter} />
    </>
  );
}

function useFilter(): [Filter, (filter: Filter) => void] {
  const search = useSearch();
  const [, navigate] = useLocation();
  const filter = useMemo(() => filterOf(search), [search]);
  const change = useCallback(
    (next: Filter) => {
      const text = searchOf(next);
      navigate(text ? `/jobs?${text}` : '/jobs');
    },
    [navigate],
  );
  return [filter, change];
}

function useJobs(filter: Filter) {
  const queryClient = useQueryClient();
  const key = useMemo(() => ['jobs', filter], [filter]);
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }): Promise<JobPage> =>
      ok(api.GET('/jobs', { params: { query: { ...(filter as Record<string, string>), limit: PAGE, ...(pageParam ? { cursor: pageParam } : {}) } } })),
    initialPageParam: '',
    getNextPageParam: (last) => last.next_cursor,
    // what arrived while it was not shown has been told to nobody
    staleTime: 0,
    refetchOnWindowFocus: false,
  });
  const shorten = useCallback(() => {
    queryClient.setQueryData<InfiniteData<JobPage>>(
      key,
      (data) => data && { pages: data.pages.slice(0, 1), pageParams: data.pageParams.slice(0, 1) },
      { updatedAt: queryClient.getQueryState(key)?.dataUpdatedAt },
    );
  }, [queryClient, key]);
  // what was scrolled by is not kept for a list that nobody looks at, nor read again page by page
  useEffect(() => shorten, [shorten]);
  /** From the top: the first page alone is read again. */
  const restart = useCallback(() => {
    shorten();
    void queryClient.invalidateQueries({ queryKey: key });
  }, [queryClient, key, shorten]);
  return { query, restart };
}

const NONE: ReadonlySet<string> = new Set();

/** How many jobs of the filter events have told of that are not in the list, and a way to forget them. */
function useArrivals(filter: Filter, jobs: Job[]): [number, () => void] {
  const [arrived, setArrived] = useState(NONE);
  const listed = useMemo(() => new Set(jobs.map((job) => job.id)), [jobs]);
  const latest = useRef(listed);
  latest.current = listed;
  const forget = useCallback(() => setArrived(NONE), []);
  useEffect(() => {
    forget();
    return live.follow((events) => setArrived((before) => arrivals(before, filter, events, latest.current)));
  }, [filter, forget]);
  return [useMemo(() => [...arrived].filter((id) => !listed.has(id)).length, [arrived, listed]), forget];
}

function JobTable({ filter }: { filter: Filter }) {
  const may = useMay('operator');
  const { query, restart } = useJobs(filter);
  const jobs = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const [fresh, forgetFresh] = useArrivals(filter, jobs);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  // those of them that are in the list still
  const chosen = useMemo(() => jobs.filter((job) => selected.has(job.id)), [jobs, selected]);
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: jobs.length, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: 12 });
  const rows = virtual.getVirtualItems();
  const lastShown = rows.at(-1)?.index ?? 0;
  const { hasNextPage, isFetching, isFetchNextPageError, errorUpdatedAt, fetchNextPage } = query;

  useEffect(() => setSelected(new Set()), [filter]);
  useEffect(() => {
    // not at once again after an error: it would be asked for as fast as it is refused; nor while the list is read again,
    // which it would end
    const failed = isFetchNextPageError || Date.now() < errorUpdatedAt + REFRESH_MS;
    if (hasNextPage && !isFetching && !failed && lastShown >= jobs.length - 30) {
      void fetchNextPage();
    }
  }, [hasNextPage, isFetching, isFetchNextPageError, errorUpdatedAt, lastShown, jobs.length, fetchNextPage]);

  const [shownAt, setShownAt] = useState(0);
  const show = useCallback(() => {
    setShownAt(Date.now());
    forgetFresh();
    setSelected(new Set());
    scroller.current?.scrollTo({ top: 0 });
    restart();
  }, [forgetFresh, restart]);
  // at the top new jobs come by themselves; further down nothing moves under the reader's eyes
  const arrived = fresh > 0;
  useEffect(() => {
    if (!arrived) {
      return;
    }
    const timer = setTimeout(() => {
      if ((scroller.current?.scrollTop ?? 0) < ROW && !chosen.length) {
        show();
      }
    }, Math.max(50, shownAt + REFRESH_MS - Date.now()));
    return () => clearTimeout(timer);
    // again after each time, also where others have arrived by then
  }, [arrived, chosen.length, show, shownAt]);

  const toggle = useCallback((id: string) => {
    setSelected((old) => {
      const next = new Set(old);
      if (!next.delete(id) && next.size < SELECTED_MOST) {
        next.add(id);
      }
      return next;
    });
  }, []);
  const all = jobs.length > 0 && jobs.slice(0, SELECTED_MOST).every((job) => selected.has(job.id));

  return (
    <>
      <div className="mb-2 flex min-h-8 flex-wrap items-center gap-2">
        {may && (
          <>
            <label className="flex items-center gap-2 text-muted">
              <input type="checkbox" checked={all} onChange={() => setSelected(all ? new Set() : new Set(jobs.slice(0, SELECTED_MOST).map((job) => job.id)))} />
              {chosen.length ? `${chosen.length} selected` : 'Select all shown'}
            </label>
            <BulkButtons filter={filter} selected={chosen} onDone={(ids) => setSelected((old) => new Set([...old].filter((id) => !ids.includes(id))))} />
          </>
        )}
        {arrived && (
          <button type="button" className="button ml-auto" onClick={show}>
            {countWords(fresh)} {filter.status ? 'more' : 'submitted'} since – show
          </button>
        )}
      </div>
      <div className="panel overflow-hidden">
        {query.isError && !jobs.length ? (
          <Failed query={query} />
        ) : query.isPending ? (
          <Loading />
        ) : !jobs.length ? (
          <Empty>{hasNextPage ? 'Searching older jobs…' : Object.keys(filter).length ? 'No job fits this filter.' : 'No job has been submitted yet.'}</Empty>
        ) : (
          <div role="table" aria-label="Jobs" aria-rowcount={hasNextPage ? -1 : jobs.length + 1}>
            <div role="rowgroup" className="overflow-hidden border-b border-line [scrollbar-gutter:stable]">
              <div role="row" aria-rowindex={1} className={`grid h-9 items-center text-xs text-muted ${COLUMNS}`}>
                <span role="columnheader" className={may ? 'w-5' : 'hidden'}><span className="sr-only">Selected</span></span>
                <span role="columnheader">Job</span>
                <span role="columnheader">State</span>
                <span role="columnheader" className="hidden md:block">Queue</span>
                <span role="columnheader" className="hidden lg:block">Attempt</span>
                <span role="columnheader" className="hidden sm:block">Submitted</span>
                <span role="columnheader" className="hidden text-right lg:block">Duration</span>
              </div>
            </div>
            {/* it scrolls, so it can be reached with the keyboard */}
            {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
            <div ref={scroller} role="rowgroup" tabIndex={0} className="h-[calc(100dvh-19rem)] min-h-80 overflow-y-auto [scrollbar-gutter:stable]">
              <div role="presentation" className="relative" style={{ height: virtual.getTotalSize() }}>
                {rows.map((row) => {
                  const job = jobs[row.index];
                  return job && <JobRow key={job.id} job={job} index={row.index} top={row.start} selected={selected.has(job.id)} onToggle={may ? toggle : undefined} />;
                })}
              </div>
            </div>
          </div>
        )}
      </div>
      <p className="mt-2 text-xs text-muted" role="status">
        {jobs.length ? `${jobs.length} loaded${hasNextPage ? ', more below' : ', that is all'}` : ''}
      </p>
      {query.isError && jobs.length > 0 && (
        <p role="alert" className="mt-2 flex flex-wrap items-center gap-3 text-xs text-bad">
          {explain(query.error)}
          <button type="button" className="button" onClick={() => void (isFetchNextPageError ? fetchNextPage() : query.refetch())}>Try again</button>
        </p>
      )}
    </>
  );
}

const COLUMNS =
  'grid-cols-[auto_minmax(0,1fr)_7rem] sm:grid-cols-[auto_minmax(0,1fr)_8rem_6.5rem] md:grid-cols-[auto_minmax(0,1fr)_8rem_8rem_7rem] lg:grid-cols-[auto_minmax(0,1fr)_8rem_9rem_5rem_8rem_6rem] gap-x-3 px-4';

interface RowProps {
  job: Job;
  index: number;
  top: number;
  selected: boolean;
  onToggle: ((id: string) => void) | undefined;
}

const JobRow = memo(function JobRow({ job, index, top, selected, onToggle }: RowProps) {
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      data-job={job.id}
      className={`absolute inset-x-0 grid items-center border-b border-line ${COLUMNS} ${selected ? 'bg-raised' : 'hover:bg-canvas'}`}
      style={{ transform: `translateY(${top}px)`, height: ROW }}
    >
      <span role="cell" className={onToggle ? 'w-5' : 'hidden'}>
        {onToggle && <input type="checkbox" aria-label={`Select ${job.name ?? job.type}`} checked={selected} onChange={() => onToggle(job.id)} />}
      </span>
      <span role="cell" className="min-w-0">
        <Link href={`/jobs/${job.id}`} className="row-link block truncate">{job.name ?? job.type}</Link>
        <span className="block truncate text-xs text-muted">
          {job.error && job.status !== 'SUCCESS' ? <span className="text-bad">{job.error}</span> : <>{job.type} · {job.priority}</>}
        </span>
      </span>
      <span role="cell" className="min-w-0">
        <JobState status={job.status} />
        {job.status === 'RUNNING' && job.progress > 0 && <Progress value={job.progress} />}
      </span>
      <span role="cell" className="hidden truncate md:block">{job.queue}</span>
      <span role="cell" className="hidden tabular-nums lg:block">{job.attempt} / {job.max_retries + 1}</span>
      <span role="cell" className="hidden text-muted sm:block"><Time at={job.created_at} /></span>
      <span role="cell" className="hidden whitespace-nowrap text-right tabular-nums lg:block"><Elapsed since={job.status === 'RUNNING' ? job.started_at : null} seconds={job.duration_seconds} /></span>
    </div>
  );
});
