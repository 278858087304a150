import { useEffect, useRef, useState, type FormEvent, type ReactNode } from 'react';

import { filterOf, searchOf, storedViews, storeViews, toggled, type Filter, type View } from '../lib/filters';
import { fromLocal, toLocal } from '../lib/local-time';
import { PRIORITIES, STATUSES } from '../lib/presets';
import { statusWords } from '../ui/status';

interface Props {
  filter: Filter;
  onChange: (filter: Filter) => void;
}

export function FilterBar({ filter, onChange }: Props) {
  const set = (change: Filter) => onChange({ ...filter, ...change });
  const [asked, setAsked] = useState(false);
  // what is in the address is seen
  const used = Boolean(filter.created_after ?? filter.created_before ?? filter.created_by ?? filter.internal);
  return (
    <div className="mb-3 space-y-2">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <div role="group" aria-label="States" className="flex flex-wrap gap-1">
          {STATUSES.map((status) => (
            <Pill key={status} on={(filter.status ?? '').split(',').includes(status)} onClick={() => set({ status: toggled(filter.status, status) })}>
              {statusWords(status)}
            </Pill>
          ))}
        </div>
        <button type="button" className="button h-7" aria-expanded={asked || used} disabled={used} onClick={() => setAsked(!asked)}>More filters</button>
      </div>
      <div className="grid grid-cols-2 gap-2 lg:grid-cols-3 xl:grid-cols-[minmax(10rem,1fr)_8.5rem_8.5rem_8.5rem_auto]">
        <TextFilter label="Search" placeholder="Name or id" value={filter.q ?? ''} onChange={(q) => set({ q })} />
        <TextFilter label="Type" placeholder="Any type" value={filter.type ?? ''} onChange={(type) => set({ type })} />
        <TextFilter label="Queue" placeholder="Any queue" value={filter.queue ?? ''} onChange={(queue) => set({ queue })} />
        <PriorityFilter value={filter.priority ?? ''} onChange={(priority) => set({ priority })} />
        <Views filter={filter} onChange={onChange} />
      </div>
      {(asked || used) && (
        <MoreFilters
          filter={filter}
          onChange={(next) => {
            // it stays when the last of its filters is taken away
            setAsked(true);
            onChange(next);
          }}
        />
      )}
    </div>
  );
}

function Pill({ on, onClick, children }: { on: boolean; onClick: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      aria-pressed={on}
      className={`rounded-full border px-3 py-0.5 text-xs ${on ? 'border-ink bg-ink text-surface' : 'border-line bg-surface text-muted hover:text-ink'}`}
      onClick={onClick}
    >
      {children}
    </button>
  );
}

function PriorityFilter({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  return (
    <select aria-label="Priority" className="input" value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">Any priority</option>
      {PRIORITIES.map((name) => (
        <option key={name}>{name}</option>
      ))}
      {/* one level, from the address */}
      {value && !PRIORITIES.some((name) => name === value) && <option>{value}</option>}
    </select>
  );
}

/** When, by whom, and TaskForge's own. */
function MoreFilters({ filter, onChange }: Props) {
  const set = (change: Filter) => onChange({ ...filter, ...change });
  const { created_by: by } = filter;
  return (
    <div role="group" aria-label="More filters" className="flex flex-wrap items-center gap-x-4 gap-y-2">
      <TimeFilter label="Submitted after" value={filter.created_after} onChange={(created_after) => set({ created_after })} />
      <TimeFilter label="Submitted before" value={filter.created_before} onChange={(created_before) => set({ created_before })} />
      <div className="flex gap-1">
        {by && by !== 'me' ? (
          <Pill on onClick={() => set({ created_by: '' })}>By {by.slice(0, 13)}…</Pill>
        ) : (
          <Pill on={by === 'me'} onClick={() => set({ created_by: by ? '' : 'me' })}>Mine</Pill>
        )}
        <Pill on={filter.internal === '1'} onClick={() => set({ internal: filter.internal ? '' : '1' })}>TaskForge&apos;s own too</Pill>
      </div>
    </div>
  );
}

/** A text on its way into the address: it goes there when typing pauses. */
function useTyped(value: string, onChange: (value: string) => void) {
  const [typed, setTyped] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  // what else was chosen while the typing paused is in the newest one
  const latest = useRef(onChange);
  latest.current = onChange;
  // a space at the end is not in the address; a word may follow it
  useEffect(() => setTyped((now) => (now.trim() === value ? now : value)), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const settle = (text: string) => {
    clearTimeout(timer.current);
    latest.current(text);
  };
  const type = (text: string, ms: number, whole = true) => {
    setTyped(text);
    clearTimeout(timer.current);
    if (whole) {
      timer.current = setTimeout(() => latest.current(text), ms);
    }
  };
  return { typed, type, settle };
}

const TYPING_MS = 350;
const PICKING_MS = 800; // a time has many parts

/** With Enter it goes into the address at once. */
function TextFilter({ label, placeholder, value, onChange }: { label: string; placeholder: string; value: string; onChange: (value: string) => void }) {
  const { typed, type, settle } = useTyped(value, (text) => onChange(text.trim()));
  return (
    <input
      type="search"
      className="input"
      aria-label={label}
      placeholder={placeholder}
      value={typed}
      onChange={(event) => type(event.target.value, TYPING_MS)}
      onKeyDown={(event) => event.key === 'Enter' && settle(typed)}
    />
  );
}

function TimeFilter({ label, value, onChange }: { label: string; value: string | undefined; onChange: (value: string) => void }) {
  const { typed, type, settle } = useTyped(toLocal(value), (text) => onChange(fromLocal(text) ?? ''));
  return (
    <div className="flex items-end gap-1 sm:items-center">
      <label className="flex flex-col gap-1 text-xs text-muted sm:flex-row sm:items-center sm:gap-2">
        {label}
        <input
          type="datetime-local"
          className={`input w-56 text-ink ${value ? 'border-ink' : ''}`}
          min="1970-01-01T00:00"
          max="9999-12-31T23:59"
          step="any"
          value={typed}
          // a year that is half typed is none
          onChange={(event) => type(event.target.value, PICKING_MS, event.target.validity.valid)}
          onKeyDown={(event) => event.key === 'Enter' && event.currentTarget.validity.valid && settle(typed)}
        />
      </label>
      {value && <button type="button" className="button button-quiet" aria-label={`Forget “${label}”`} onClick={() => settle('')}>✕</button>}
    </div>
  );
}

function Views({ filter, onChange }: Props) {
  const [views, setViews] = useState<View[]>(storedViews);
  const [naming, setNaming] = useState(false);
  const search = searchOf(filter);
  const current = views.find((view) => view.search === search);
  const keep = (next: View[]) => {
    setViews(next);
    storeViews(next);
  };
  const save = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const name = new FormData(event.currentTarget).get('name');
    if (typeof name === 'string' && name.trim()) {
      keep([...views.filter((view) => view.name !== name.trim()), { name: name.trim(), search }]);
      setNaming(false);
    }
  };
  if (naming) {
    return (
      <form className="col-span-2 flex gap-2 lg:col-span-1" onSubmit={save}>
        {/* it was asked for with the button before */}
        {/* eslint-disable-next-line jsx-a11y/no-autofocus */}
        <input className="input" name="name" aria-label="Name of the view" placeholder="Name of the view" maxLength={40} autoFocus onKeyDown={(event) => event.key === 'Escape' && setNaming(false)} />
        <button className="button">Save</button>
      </form>
    );
  }
  return (
    <div className="col-span-2 flex gap-2 lg:col-span-1">
      <select
        aria-label="Saved views"
        className="input min-w-28"
        value={current?.name ?? ''}
        onChange={(event) => onChange(filterOf(views.find((view) => view.name === event.target.value)?.search ?? ''))}
      >
        <option value="">{search ? 'Clear filters' : 'All jobs'}</option>
        {search && !current && <option value="" hidden>Unsaved view</option>}
        {views.map((view) => (
          <option key={view.name}>{view.name}</option>
        ))}
      </select>
      {search && !current && (
        <button type="button" className="button" onClick={() => setNaming(true)}>
          Save view
        </button>
      )}
      {current && (
        <button type="button" className="button" onClick={() => keep(views.filter((view) => view !== current))}>
          Forget view
        </button>
      )}
    </div>
  );
}
