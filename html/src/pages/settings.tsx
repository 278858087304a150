import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';

import { api, ApiError, explain, ok, type ApiKey } from '../lib/api';
import { emptyIfSent, formText } from '../lib/form-text';
import { useMay, useMe } from '../lib/me';
import { CopyButton } from '../ui/copy';
import { Confirm } from '../ui/dialog';
import { Field } from '../ui/field';
import { Empty, Loaded, PageHead, Panel } from '../ui/panel';
import { Time } from '../ui/time';
import { complain, say } from '../ui/toast';

export default function Settings() {
  const operator = useMay('operator');
  return (
    <>
      <PageHead title="Settings" />
      <div className="grid gap-4 xl:grid-cols-2">
        <Profile />
        <Password />
        <Keys />
        {operator && <WebhookSecret />}
      </div>
    </>
  );
}

function Profile() {
  const me = useMe();
  return (
    <Panel title="Profile">
      <dl className="grid grid-cols-[7rem_minmax(0,1fr)] gap-2 p-4">
        <dt className="text-muted">Username</dt>
        <dd className="break-words">{me?.username}</dd>
        <dt className="text-muted">E-mail</dt>
        <dd className="break-words">{me?.email}</dd>
        <dt className="text-muted">Role</dt>
        <dd>{me?.role}</dd>
        <dt className="text-muted">Since</dt>
        <dd><Time at={me?.created_at} exact /></dd>
        <dt className="text-muted">Last sign-in</dt>
        <dd><Time at={me?.last_login_at} exact /></dd>
      </dl>
    </Panel>
  );
}

function Password() {
  const change = useMutation({
    mutationFn: (body: { current_password: string; new_password: string }) => ok(api.POST('/auth/password', { body })),
  });
  const fields = change.error instanceof ApiError ? change.error.fields : {};
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const element = event.currentTarget;
    const form = new FormData(element);
    change.mutate(
      { current_password: formText(form, 'current'), new_password: formText(form, 'new') },
      {
        onSuccess: () => {
          say('The password is changed. All other sessions have ended.');
          emptyIfSent(element, form);
        },
      },
    );
  };
  return (
    <Panel title="Password">
      <form className="space-y-3 p-4" onSubmit={submit}>
        <Field label="Current password" error={fields.current_password}>
          <input className="input" type="password" name="current" autoComplete="current-password" required />
        </Field>
        <Field label="New password" hint="At least 10 characters" error={fields.new_password}>
          <input className="input" type="password" name="new" autoComplete="new-password" required />
        </Field>
        {change.isError && !Object.keys(fields).length && <p role="alert" className="text-bad">{explain(change.error)}</p>}
        <button className="button button-primary" disabled={change.isPending}>Change the password</button>
      </form>
    </Panel>
  );
}

/** What is shown once, and can be copied. */
function Secret({ label, value, onClose }: { label: string; value: string; onClose: () => void }) {
  return (
    <div className="space-y-2 border-t border-line bg-raised p-4" role="status">
      <p className="font-medium [overflow-wrap:anywhere]">{label}: shown this once.</p>
      <code className="block break-all rounded border border-line bg-surface p-2 font-mono text-xs">{value}</code>
      <div className="flex gap-2">
        <CopyButton what={label.toLowerCase()} text={() => value} />
        <button type="button" className="button" onClick={onClose}>I have it</button>
      </div>
    </div>
  );
}

const SCOPES = ['read', 'submit', 'manage'] as const;

function Keys() {
  const queryClient = useQueryClient();
  // each is shown once: one that was made before somebody said "I have it" stays
  const [made, setMade] = useState<{ id: string; name: string; api_key: string }[]>([]);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const refresh = () => void queryClient.invalidateQueries({ queryKey: ['api-keys'] });
  const keys = useQuery({ queryKey: ['api-keys'], queryFn: () => ok(api.GET('/auth/api-keys')) });
  const create = useMutation({
    mutationFn: (body: { name: string; scopes: (typeof SCOPES)[number][]; expires_in_days?: number }) => ok(api.POST('/auth/api-keys', { body })),
    onSuccess: (key) => {
      setMade((before) => [...before, key]);
      refresh();
    },
  });
  const revoke = useMutation({
    mutationFn: (id: string) => ok(api.DELETE('/auth/api-keys/{id}', { params: { path: { id } } })),
    onSuccess: (_, id) => {
      say('Revoked.');
      // its own dialog closes, not that of another key
      setRevoking((now) => (now?.id === id ? null : now));
      refresh();
    },
    onError: complain,
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const element = event.currentTarget;
    const form = new FormData(element);
    const days = Number(formText(form, 'days'));
    const scope = SCOPES.find((one) => one === formText(form, 'scope')) ?? 'read';
    create.mutate({ name: formText(form, 'name'), scopes: [scope], ...(days ? { expires_in_days: days } : {}) }, { onSuccess: () => emptyIfSent(element, form) });
  };
  return (
    <Panel title="API keys">
      <Loaded query={keys}>
        {({ items }) =>
          items.length ? (
            <ul className="divide-y divide-line">
              {items.map((key) => (
                <li key={key.id} className="flex flex-wrap items-center justify-between gap-2 px-4 py-2">
                  <div className="min-w-0">
                    <div className="truncate font-medium">{key.name} <span className="font-mono text-xs font-normal text-muted">{key.prefix}…</span></div>
                    <div className="text-xs text-muted">
                      {key.scopes.join(', ')} · used <Time at={key.last_used_at} /> · {key.expires_at ? <>ends <Time at={key.expires_at} /></> : 'no end'}
                    </div>
                  </div>
                  <button type="button" className="button" aria-label={`Revoke ${key.name}`} onClick={() => setRevoking(key)}>Revoke</button>
                </li>
              ))}
            </ul>
          ) : (
            <Empty>No keys. A program signs in with one, in the header X-API-Key.</Empty>
          )
        }
      </Loaded>
      {made.map(({ id, name, api_key }) => (
        <Secret key={id} label={`The new key ${name}`} value={api_key} onClose={() => setMade((all) => all.filter((one) => one.id !== id))} />
      ))}
      <form className="grid items-start gap-3 border-t border-line p-4 sm:grid-cols-[minmax(0,1fr)_8rem_7rem_auto]" onSubmit={submit}>
        <Field label="Name of a new key" error={create.isError ? explain(create.error) : undefined}>
          <input className="input" name="name" required />
        </Field>
        <Field label="It may">
          <select className="input" name="scope">
            {SCOPES.map((scope) => (
              <option key={scope}>{scope}</option>
            ))}
          </select>
        </Field>
        <Field label="Days"><input className="input" name="days" type="number" min={1} placeholder="no end" /></Field>
        <button className="button button-primary sm:mt-5" disabled={create.isPending}>Make</button>
      </form>
      {revoking && (
        <Confirm title={`Revoke ${revoking.name}`} action="Revoke" danger busy={revoke.isPending} onConfirm={() => revoke.mutate(revoking.id)} onClose={() => setRevoking(null)}>
          <p>Whoever uses it is refused from this moment on.</p>
        </Confirm>
      )}
    </Panel>
  );
}

function WebhookSecret() {
  const queryClient = useQueryClient();
  const [made, setMade] = useState<string | null>(null);
  const [ending, setEnding] = useState(false);
  const refresh = () => void queryClient.invalidateQueries({ queryKey: ['webhook-secret'] });
  const secret = useQuery({
    queryKey: ['webhook-secret'],
    queryFn: () =>
      ok(api.GET('/auth/webhook-secret')).catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 404) {
          return null;
        }
        throw error;
      }),
  });
  const rotate = useMutation({
    mutationFn: () => ok(api.POST('/auth/webhook-secret')),
    onSuccess: (answer) => {
      setMade(answer.secret);
      refresh();
    },
    onError: complain,
  });
  const end = useMutation({
    mutationFn: () => ok(api.DELETE('/auth/webhook-secret')),
    onSuccess: () => {
      setEnding(false);
      refresh();
    },
    onError: complain,
  });
  return (
    <Panel title="Webhook secret">
      <div className="space-y-3 p-4">
        <p className="text-muted">Signs the webhooks of your jobs, as Standard Webhooks says.</p>
        <Loaded query={secret}>
          {(data) => (
            <p>
              {data ? <>Made <Time at={data.created_at} />.</> : 'There is none yet.'}
              {data?.previous_expires_at && <> The one before signs too, and ends <Time at={data.previous_expires_at} />.</>}
            </p>
          )}
        </Loaded>
        <div className="flex gap-2">
          <button type="button" className="button button-primary" disabled={rotate.isPending} onClick={() => rotate.mutate()}>{secret.data ? 'Rotate' : 'Make one'}</button>
          {secret.data && <button type="button" className="button button-danger" onClick={() => setEnding(true)}>End it now</button>}
        </div>
      </div>
      {made && <Secret label="The secret" value={made} onClose={() => setMade(null)} />}
      {ending && (
        <Confirm title="End the webhook secret" action="End it" danger busy={end.isPending} onConfirm={() => end.mutate()} onClose={() => setEnding(false)}>
          <p>For when it has leaked: nothing is signed with it from this moment on.</p>
        </Confirm>
      )}
    </Panel>
  );
}
