import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';

import { api, ok, type AuditRow, type Role, type User } from '../lib/api';
import { useMe } from '../lib/me';
import { Confirm } from '../ui/dialog';
import { More, usePages } from '../ui/pages';
import { Empty, Loaded, PageHead, Panel } from '../ui/panel';
import { Time } from '../ui/time';
import { complain, say } from '../ui/toast';

const PAGE = { limit: 50 };
const ROLES: Role[] = ['viewer', 'operator', 'admin'];

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

function Users() {
  const { query: users, items } = usePages<User>(['users'], (query) => ok(api.GET('/users', { params: { query } })), PAGE);
  return (
    <Panel title="Users">
      <Loaded query={users}>
        {() => (
          <ul className="divide-y divide-line">
            {items.map((user) => (
              <UserRow key={user.id} user={user} />
            ))}
          </ul>
        )}
      </Loaded>
      <More query={users} />
    </Panel>
  );
}

function UserRow({ user }: { user: User }) {
  const own = useMe()?.id === user.id;
  const queryClient = useQueryClient();
  const [asked, setAsked] = useState<Role | null>(null);
  const change = useMutation({
    mutationFn: (body: { role?: Role; active?: boolean }) => ok(api.PATCH('/users/{id}', { params: { path: { id: user.id } }, body })),
    onSuccess: () => {
      say(`${user.username} is changed.`);
      for (const key of ['users', 'audit', 'me']) {
        void queryClient.invalidateQueries({ queryKey: [key] });
      }
    },
    onError: complain,
    onSettled: () => setAsked(null),
  });
  return (
    <li className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 px-4 py-2">
      <div className="min-w-0 flex-1 basis-56">
        <div className="truncate font-medium">{user.username} {own && <span className="font-normal text-muted">(you)</span>}</div>
        <div className="truncate text-xs text-muted">{user.email} · last here <Time at={user.last_login_at} /></div>
      </div>
      <div className="flex items-center gap-2">
        <select aria-label={`Role of ${user.username}`} className="input w-28" value={user.role} disabled={change.isPending} onChange={(event) => setAsked(ROLES.find((role) => role === event.target.value) ?? null)}>
          {ROLES.map((role) => (
            <option key={role}>{role}</option>
          ))}
        </select>
        <button type="button" className={`button ${user.active ? '' : 'button-primary'}`} disabled={change.isPending || own} onClick={() => change.mutate({ active: !user.active })}>
          {user.active ? 'Deactivate' : 'Activate'}
        </button>
      </div>
      {asked && (
        <Confirm title={`Make ${user.username} ${asked === 'viewer' ? 'a viewer' : `an ${asked}`}`} action="Change the role" danger={own} busy={change.isPending} onConfirm={() => change.mutate({ role: asked })} onClose={() => setAsked(null)}>
          {own ? (
            <p>This is you. You are no admin any more at once: this page is closed to you, and only another admin can give the role back.</p>
          ) : (
            <p>{user.username} is {user.role} now; what the new role may do holds at once.</p>
          )}
        </Confirm>
      )}
    </li>
  );
}

function Audit() {
  const { query: audit, items } = usePages<AuditRow>(['audit'], (query) => ok(api.GET('/audit', { params: { query } })), PAGE);
  return (
    <Panel title="Audit">
      <Loaded query={audit}>
        {() => items.length ? (
          <ul className="divide-y divide-line">
            {items.map((row) => (
              <AuditLine key={row.id} row={row} />
            ))}
          </ul>
        ) : <Empty>Nothing has been done yet.</Empty>}
      </Loaded>
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
