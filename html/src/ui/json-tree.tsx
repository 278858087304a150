import { useState } from 'react';

import { isKept } from '../lib/exact-json';
import { CopyButton } from './copy';

const SHOWN = 100;

/** JSON as a tree that opens and closes; everything is text, whatever it holds. What is closed is not there yet. */
export function JsonTree({ value, label }: { value: unknown; label: string }) {
  return (
    <div className="relative p-4">
      <CopyButton what={label} text={() => JSON.stringify(value, null, 2)} className="button-quiet absolute right-2 top-2" />
      {/* it scrolls, so it can be reached with the keyboard */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div role="group" aria-label={label} tabIndex={0} className="max-h-96 overflow-auto break-words pr-16 font-mono text-xs">
        <Node value={value} depth={0} />
      </div>
    </div>
  );
}

function Node({ name, value, depth }: { name?: string; value: unknown; depth: number }) {
  const size = value !== null && typeof value === 'object' ? Object.keys(value).length : 0;
  const [open, setOpen] = useState(depth < 2 || size <= 3);
  const [shown, setShown] = useState(SHOWN);
  const prefix = name === undefined ? null : <span className="text-muted">{name}: </span>;
  if (value === null || typeof value !== 'object' || isKept(value)) {
    return (
      <div>
        {prefix}
        <span className={typeof value === 'string' ? '' : 'text-running'}>{JSON.stringify(value)}</span>
      </div>
    );
  }
  const entries: [string, unknown][] = Object.entries(value);
  const list = Array.isArray(value);
  if (!entries.length) {
    return (
      <div>
        {prefix}
        {list ? '[]' : '{}'}
      </div>
    );
  }
  return (
    <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="cursor-pointer marker:text-muted">
        {prefix}
        <span className="text-muted">{list ? `[${entries.length}]` : `{${entries.length}}`}</span>
      </summary>
      {open && (
        <div className="border-l border-line pl-4">
          {entries.slice(0, shown).map(([key, member]) => (
            <Node key={key} name={key} value={member} depth={depth + 1} />
          ))}
          {size > shown && (
            <button type="button" className="text-muted underline underline-offset-2 hover:text-ink" onClick={() => setShown(shown + SHOWN)}>
              {size - shown} more
            </button>
          )}
        </div>
      )}
    </details>
  );
}
