import { lazy, Suspense, useEffect, useRef, useState, type ReactNode } from 'react';
import { Link, Route, Switch, useLocation } from 'wouter';

import type { Role } from './lib/api';
import { live, queryClient, stream, useStreamState } from './lib/live';
import { useMay, useMe, useSession } from './lib/me';
import { session } from './lib/session';
import { Away, SignIn, SignInForm } from './pages/sign-in';
import { Boundary } from './ui/boundary';
import { Dialog } from './ui/dialog';
import { Loading } from './ui/panel';
import { Mark } from './ui/status';
import { Toasts } from './ui/toast';

const overview = () => import('./pages/overview');
const Overview = lazy(overview);
if (window.location.pathname === '/') {
  // on its way while it is asked who this is
  overview().catch(() => null);
}
const Jobs = lazy(() => import('./pages/jobs'));
const JobPage = lazy(() => import('./pages/job'));
const Workers = lazy(() => import('./pages/workers'));
const Queues = lazy(() => import('./pages/queues'));
const Schedules = lazy(() => import('./pages/schedules'));
const DeadLetter = lazy(() => import('./pages/dead-letter'));
const Settings = lazy(() => import('./pages/settings'));
const Admin = lazy(() => import('./pages/admin'));

const PAGES: { path: string; name: string; role: Role }[] = [
  { path: '/', name: 'Overview', role: 'viewer' },
  { path: '/jobs', name: 'Jobs', role: 'viewer' },
  { path: '/queues', name: 'Queues', role: 'viewer' },
  { path: '/workers', name: 'Workers', role: 'viewer' },
  { path: '/schedules', name: 'Schedules', role: 'viewer' },
  { path: '/dead-letter', name: 'Dead letter', role: 'viewer' },
  { path: '/settings', name: 'Settings', role: 'viewer' },
  { path: '/admin', name: 'Admin', role: 'admin' },
];

export function App() {
  const state = useSession();
  const before = useRef(state);
  // another user's data must not be seen by the next one
  useEffect(() => {
    if (state === 'out') {
      queryClient.clear();
      live.clear();
    } else if (state === 'in' && before.current === 'expired') {
      queryClient.removeQueries({ type: 'inactive' });
      void queryClient.invalidateQueries();
      stream.hurry();
    }
    before.current = state;
  }, [state]);
  return (
    <>
      {state === 'starting' && <Splash />}
      {(state === 'unreachable' || state === 'busy') && <Away state={state} />}
      {state === 'out' && <SignIn />}
      {(state === 'in' || state === 'expired') && <Shell />}
      {state === 'expired' && (
        <Dialog title="Your session has ended" firm onClose={() => undefined}>
          <p className="mb-4 text-muted">Sign in to go on. What you typed is still there.</p>
          <SignInForm />
        </Dialog>
      )}
      <Toasts />
    </>
  );
}

/** The same as in index.html, where it is seen before this runs. */
function Splash() {
  return (
    <div className="px-4 py-2 md:py-4">
      <Brand />
    </div>
  );
}

function Shell() {
  const [location] = useLocation();
  const [menu, setMenu] = useState(false);
  const first = useRef(true);
  useEffect(() => {
    stream.start();
    return () => stream.stop();
  }, []);
  useEffect(() => {
    setMenu(false);
    document.title = `${PAGES.find((page) => page.path === location)?.name ?? 'Job'} – TaskForge`;
    if (first.current) {
      first.current = false;
      return;
    }
    // a new page begins at its top, for the eyes and for the keyboard
    if (!window.location.hash) {
      scrollTo(0, 0);
    }
    document.getElementById('main')?.focus({ preventScroll: true });
  }, [location]);
  return (
    <div className="min-h-dvh md:grid md:grid-cols-[13rem_minmax(0,1fr)]">
      <a href="#main" className="button sr-only left-3 top-3 z-50 focus:not-sr-only focus:absolute">
        Skip to the content
      </a>
      <header className="sticky top-0 z-20 flex items-center justify-between border-b border-line bg-surface px-4 py-2 md:hidden">
        <Brand />
        <div className="flex items-center gap-2">
          <Connection />
          <button type="button" className="button" aria-expanded={menu} aria-controls="navigation" onClick={() => setMenu(!menu)}>
            Menu
          </button>
        </div>
      </header>
      <aside
        id="navigation"
        className={`${menu ? 'block' : 'hidden'} border-b border-line bg-surface md:sticky md:top-0 md:flex md:h-dvh md:flex-col md:border-b-0 md:border-r`}
      >
        <div className="hidden px-4 py-4 md:block">
          <Brand />
        </div>
        <Navigation />
        <Account />
      </aside>
      <main id="main" tabIndex={-1} className="min-w-0 px-4 py-6 outline-none md:px-8">
        <Boundary key={location}>
          <Suspense fallback={<Loading />}>
            <Switch>
              <Route path="/" component={Overview} />
              <Route path="/jobs" component={Jobs} />
              <Route path="/jobs/:id">{({ id }) => <JobPage key={id} id={id} />}</Route>
              <Route path="/queues" component={Queues} />
              <Route path="/workers" component={Workers} />
              <Route path="/schedules" component={Schedules} />
              <Route path="/dead-letter" component={DeadLetter} />
              <Route path="/settings" component={Settings} />
              <Route path="/admin">
                <Only least="admin">
                  <Admin />
                </Only>
              </Route>
              <Route>
                <p className="py-12 text-center text-muted">There is no such page.</p>
              </Route>
            </Switch>
          </Suspense>
        </Boundary>
      </main>
    </div>
  );
}

function Only({ least, children }: { least: Role; children: ReactNode }) {
  const me = useMe();
  const may = useMay(least);
  if (!me) {
    return <Loading />;
  }
  return may ? children : <p className="py-12 text-center text-muted">This page is for the role {least}.</p>;
}

function Brand() {
  return (
    <span className="flex items-center gap-2 text-base font-semibold tracking-tight">
      <img src="/icon.svg" alt="" width="22" height="22" />
      TaskForge
    </span>
  );
}

function Navigation() {
  const [location] = useLocation();
  const admin = useMay('admin');
  return (
    <nav aria-label="Pages" className="flex-1 px-2 py-2">
      <ul className="space-y-1">
        {PAGES.filter((page) => page.role !== 'admin' || admin).map((page) => {
          const here = page.path === '/' ? location === '/' : location.startsWith(page.path);
          return (
            <li key={page.path}>
              <Link
                href={page.path}
                aria-current={here ? 'page' : undefined}
                className={`block rounded px-3 py-1.5 font-medium ${here ? 'bg-raised text-ink' : 'text-muted hover:text-ink'}`}
              >
                {page.name}
              </Link>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

function Account() {
  const me = useMe();
  return (
    <div className="space-y-3 border-t border-line px-4 py-4">
      <div className="hidden md:block">
        <Connection />
      </div>
      <div className="flex items-center justify-between gap-2">
        <div className="min-w-0">
          <div className="truncate font-medium">{me?.username}</div>
          <div className="text-xs text-muted">{me?.role}</div>
        </div>
        <ThemeButton />
      </div>
      <div className="flex items-center justify-between gap-2 text-xs">
        <a href="/api/docs/" className="text-muted underline underline-offset-2 hover:text-ink">
          API docs
        </a>
        <button type="button" className="text-muted underline underline-offset-2 hover:text-ink" onClick={() => void session.signOut()}>
          Sign out
        </button>
      </div>
    </div>
  );
}

function ThemeButton() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? 'light');
  const other = theme === 'dark' ? 'light' : 'dark';
  return (
    <button
      type="button"
      className="button"
      aria-label={`Use the ${other} theme`}
      onClick={() => {
        document.documentElement.dataset.theme = other;
        localStorage.setItem('taskforge.theme', other);
        setTheme(other);
      }}
    >
      {theme === 'dark' ? '☀' : '☾'}
    </button>
  );
}

function Connection() {
  const state = useStreamState();
  return (
    <div role="status" className="text-xs">
      {state === 'live' && <Mark tone="good">Live</Mark>}
      {(state === 'connecting' || state === 'reconnecting') && <Mark tone="warning" moving>{state === 'connecting' ? 'Connecting' : 'Reconnecting'}</Mark>}
      {state === 'offline' && <Mark tone="bad">Offline</Mark>}
    </div>
  );
}
