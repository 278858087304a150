import { useState, type FormEvent, type ReactNode } from 'react';

import { api, ApiError, explain, ok } from '../lib/api';
import { formText } from '../lib/form-text';
import { session } from '../lib/session';
import { Field } from '../ui/field';

/** A page of one thing, before somebody is signed in. */
function Centre({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <div className="w-full max-w-sm space-y-6">
        <div className="space-y-3">
          <img src="/icon.svg" alt="" width="40" height="40" />
          <h1>{title}</h1>
        </div>
        {children}
      </div>
    </main>
  );
}

/** A session is stored, and nobody could say yet whether it is good. */
export function Away({ state }: { state: 'unreachable' | 'busy' }) {
  return (
    <Centre title={state === 'busy' ? 'The server is busy' : 'The server cannot be reached'}>
      <div className="panel space-y-4 p-4">
        <p role="status">Your session is kept. This page tries again by itself, and goes on as soon as the server answers.</p>
        <button type="button" className="button button-primary w-full" onClick={session.hurry}>
          Try now
        </button>
      </div>
      <p className="text-muted">
        You would rather not wait?{' '}
        <button type="button" className={LINK} onClick={() => session.giveUp()}>
          Sign in again
        </button>
      </p>
    </Centre>
  );
}

const LINK = 'font-medium text-ink underline underline-offset-2';

/** Whether anybody may make an account: an empty form is refused as wrong where one may, and as forbidden where not. */
async function isClosed(): Promise<boolean> {
  const answer = await fetch('/api/v1/auth/register', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' }).catch(() => null);
  return answer?.status === 403;
}

export function SignIn() {
  const [registering, setRegistering] = useState(false);
  const [closed, setClosed] = useState(false);
  const register = async () => {
    const refused = await isClosed();
    setClosed(refused);
    setRegistering(!refused);
  };
  return (
    <Centre title={registering ? 'Make an account' : 'Sign in to TaskForge'}>
      <div className="panel p-4">{registering ? <RegisterForm /> : <SignInForm />}</div>
      <p className="text-muted" role="status">
        {closed ? (
          'Accounts are made by an admin here: ask one of them for yours.'
        ) : registering ? (
          <>You have an account? <button type="button" className={LINK} onClick={() => setRegistering(false)}>Sign in</button></>
        ) : (
          <>No account yet? <button type="button" className={LINK} onClick={() => void register()}>Make one</button></>
        )}
      </p>
    </Centre>
  );
}

export function SignInForm() {
  const [trouble, setTrouble] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    try {
      await session.signIn(formText(form, 'username'), formText(form, 'password'));
    } catch (error) {
      setTrouble(explain(error));
      setBusy(false);
    }
  };
  return (
    <form className="space-y-3" onSubmit={submit}>
      <Field label="Username or e-mail address">
        {/* the one thing to do on this page */}
        {/* eslint-disable-next-line jsx-a11y/no-autofocus */}
        <input className="input" name="username" autoComplete="username" required autoFocus />
      </Field>
      <Field label="Password">
        <input className="input" name="password" type="password" autoComplete="current-password" required />
      </Field>
      <p role="alert" className="text-bad">
        {trouble}
      </p>
      <button className="button button-primary w-full" disabled={busy}>
        {busy ? 'Signing in …' : 'Sign in'}
      </button>
    </form>
  );
}

function RegisterForm() {
  const [trouble, setTrouble] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const fields = trouble instanceof ApiError ? trouble.fields : {};
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const body = { username: formText(form, 'username'), email: formText(form, 'email'), password: formText(form, 'password') };
    setBusy(true);
    try {
      await ok(api.POST('/auth/register', { body }));
      await session.signIn(body.username, body.password);
    } catch (error) {
      setTrouble(error);
      setBusy(false);
    }
  };
  return (
    <form className="space-y-3" onSubmit={submit}>
      <Field label="Username" hint="3 to 64 letters, digits and _ . -" error={fields.username}>
        <input className="input" name="username" autoComplete="username" required />
      </Field>
      <Field label="E-mail address" error={fields.email}>
        <input className="input" name="email" type="email" autoComplete="email" required />
      </Field>
      <Field label="Password" hint="At least 10 characters" error={fields.password}>
        <input className="input" name="password" type="password" autoComplete="new-password" required />
      </Field>
      <p role="alert" className="text-bad">
        {trouble !== null && !Object.keys(fields).length ? explain(trouble) : ''}
      </p>
      <button className="button button-primary w-full" disabled={busy}>
        Make the account
      </button>
    </form>
  );
}
