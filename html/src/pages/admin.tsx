import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';

import { api, explain, ok, type AuditRow, type Role, type User } from '../lib/api';
import { useMe } from '../lib/me';
import { Empty, Loading, PageHead, Panel } from '../ui/panel';
import { Time } from '../ui/time';
import { complain, say } from '../ui/toast';

const PAGE = 50;
const ROLES: Role[] = ['viewer', 'operator', 'admin'];

interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

function usePages<T>(key: string, read: (query: { limit: number; cursor?: string }) => Promise<Page<T>>) {
  return useInfiniteQuery({
    queryKey: [key],
    queryFn: ({ pageParam }) => read({ limit: PAGE, ...(pageParam ? { cursor: pageParam } : {}) }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next_cursor,
  });
}

export default function Admin() {
  return (
    <>
      <PageHead title="Admin" />
      <div className="space-y-4">
        <Users />
        <Audit />
      </div>
    </>
  );
}

function More({ query }: { query: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown; error: unknown } }) {
  return query.hasNextPage ? (
    <div className="border-t border-line p-3 text-center">
      {query.error !== null && <p role="alert" className="mb-2 text-xs text-bad">{explain(query.error)}</p>}
      <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => query.fetchNextPage()}>Show more</button>
    </div>
  ) : null;
}

function Users() {
  const users = usePages<User>('users', (query) => ok(api.GET('/users', { params: { query } })));
  const items = users.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Panel title="Users">
      {users.isPending ? <Loading /> : users.isError && !items.length ? <Empty>{explain(users.error)}</Empty> : (
        <ul className="divide-y divide-line">
          {items.map((user) => (
            <UserRow key={user.id} user={user} />
          ))}
        </ul>
      )}
      <More query={users} />
    </Panel>
  );
}

function UserRow({ user }: { user: User }) {
  const me = useMe();
  const queryClient = useQueryClient();
  const change = useMutation({
    mutationFn: (body: { role?: Role; active?: boolean }) => ok(api.PATCH('/users/{id}', { params: { path: { id: user.id } }, body })),
    onSuccess: () => {
      say(`${user.username} is changed.`);
      for (const key of ['users', 'audit', 'me']) {
        void queryClient.invalidateQueries({ queryKey: [key] });
      }
    },
    onError: complain,
  });
  return (
    <li className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 px-4 py-2">
      <div className="min-w-0 flex-1 basis-56">
        <div className="truncate font-medium">{user.username} {user.id === me?.id && <span className="font-normal text-muted">(you)</span>}</div>
        <div className="truncate text-xs text-muted">{user.email} · last here <Time at={user.last_login_at} /></div>
      </div>
      <div className="flex items-center gap-2">
        <select aria-label={`Role of ${user.username}`} className="input w-28" value={user.role} disabled={change.isPending} onChange={(event) => change.mutate({ role: event.target.value as Role })}>
          {ROLES.map((role) => (
            <option key={role}>{role}</option>
          ))}
        </select>
        <button type="button" className={`button ${user.active ? '' : 'button-primary'}`} disabled={change.isPending || user.id === me?.id} onClick={() => change.mutate({ active: !user.active })}>
          {user.active ? 'Deactivate' : 'Activate'}
        </button>
      </div>
    </li>
  );
}

function Audit() {
  const audit = usePages<AuditRow>('audit', (query) => ok(api.GET('/audit', { params: { query } })));
  const items = audit.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Panel title="Audit">
      {audit.isPending ? <Loading /> : audit.isError && !items.length ? <Empty>{explain(audit.error)}</Empty> : !items.length ? <Empty>Nothing has been done yet.</Empty> : (
        <ul className="divide-y divide-line">
          {items.map((row) => (
            <AuditLine key={row.id} row={row} />
          ))}
        </ul>
      )}
      <More query={audit} />
    </Panel>
  );
}

/** Where what was changed can be looked at. */
function pageOf({ action, object }: AuditRow): string | null {
  const [kind] = action.split('.');
  if (!object || action.endsWith('.delete')) {
    return null;
  }
  return kind === 'job' ? `/jobs/${object}` : kind === 'schedule' ? `/schedules#${object}` : kind === 'queue' ? `/jobs?queue=${encodeURIComponent(object)}` : null;
}

function AuditLine({ row }: { row: AuditRow }) {
  const [open, setOpen] = useState(false);
  const page = pageOf(row);
  return (
    <li className="px-4 py-2">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <span className="min-w-0 break-words">
          <span className="font-medium">{row.actor_name ?? 'TaskForge'}</span> <span className="font-mono text-xs">{row.action}</span>{' '}
          <span className="break-all text-xs text-muted">{page ? <Link href={page} className="row-link">{row.object}</Link> : row.object}</span>
        </span>
        <span className="flex items-center gap-3 text-xs text-muted">
          {row.address}
          <Time at={row.at} />
          <button type="button" className="underline underline-offset-2 hover:text-ink" aria-expanded={open} onClick={() => setOpen(!open)}>Detail</button>
        </span>
      </div>
      {open && (
        <pre className="mt-2 overflow-x-auto rounded bg-raised p-3 font-mono text-xs">{JSON.stringify(row.detail, null, 2)}{'\n'}hash {row.hash}</pre>
      )}
    </li>
  );
}
