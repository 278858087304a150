import { useId, useLayoutEffect, useRef, useState, type FormEvent, type ReactNode } from 'react';
import { flushSync } from 'react-dom';

import { Toasts } from './toast';

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
  /** there is no way out of it */
  firm?: boolean;
  /** asks before it drops what was typed */
  guarded?: boolean;
}

/** A modal dialog: the browser's own, so that focus stays inside and Escape closes. */
export function Dialog({ title, onClose, children, wide, firm, guarded }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const typed = useRef(false);
  const [leaving, setLeaving] = useState(false);
  const leave = () => {
    if (guarded && typed.current) {
      setLeaving(true);
    } else {
      onClose();
    }
  };
  // closed while it is still in the page: only then the browser gives the focus back to where it was
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={element}
      aria-labelledby={heading}
      className={`arrive m-auto max-h-[92dvh] w-[calc(100vw-1.5rem)] overflow-y-auto rounded-lg border border-line bg-surface p-0 ${wide ? 'max-w-2xl' : 'max-w-md'}`}
      onCancel={(event) => {
        event.preventDefault();
        if (!firm) {
          leave();
        }
      }}
      onClose={() => {
        // a second Escape closes it, whatever is said to the first
        if (element.current && !element.current.open) {
          if (firm || (guarded && typed.current)) {
            element.current.showModal();
          }
          if (!firm) {
            leave();
          }
        }
      }}
    >
      <div className="flex items-center justify-between border-b border-line px-4 py-3">
        <h2 id={heading} className="text-base">
          {title}
        </h2>
        {!firm && (
          <button type="button" className="button button-quiet" aria-label="Close" onClick={leave}>
            ✕
          </button>
        )}
      </div>
      <div
        className="p-4"
        // what is chosen is chosen again as quickly
        onInput={(event: FormEvent) => {
          typed.current ||= !(event.target instanceof HTMLSelectElement);
        }}
      >
        {children}
      </div>
      {leaving && (
        <Confirm
          title="Drop what you typed?"
          action="Drop it"
          danger
          onConfirm={() => {
            // what is behind an open dialog cannot be given the focus
            flushSync(() => setLeaving(false));
            onClose();
          }}
          onClose={() => setLeaving(false)}
        >
          <p>It has not been sent.</p>
        </Confirm>
      )}
      {/* those of the page are behind it, and cannot be heard or clicked */}
      <Toasts />
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  children: ReactNode;
  action: string;
  danger?: boolean;
  busy?: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

export function Confirm({ title, children, action, danger, busy, onConfirm, onClose }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div className="space-y-4">
        <div>{children}</div>
        <div className="flex justify-end gap-2">
          <button type="button" className="button" onClick={onClose}>
            Keep as it is
          </button>
          <button type="button" className={`button ${danger ? 'button-danger' : 'button-primary'}`} disabled={busy} onClick={onConfirm}>
            {action}
          </button>
        </div>
      </div>
    </Dialog>
  );
}
