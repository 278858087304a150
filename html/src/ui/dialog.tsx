import { useId, useLayoutEffect, useRef, type ReactNode } from 'react';

import { Toasts } from './toast';

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
  /** there is no way out of it */
  firm?: boolean;
}

/** A modal dialog: the browser's own, so that focus stays inside and Escape closes. */
export function Dialog({ title, onClose, children, wide, firm }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
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
          onClose();
        }
      }}
      onClose={() => {
        // a second Escape closes it, whatever is said to the first
        if (element.current && !element.current.open) {
          if (firm) {
            element.current.showModal();
          } else {
            onClose();
          }
        }
      }}
    >
      <div className="flex items-center justify-between border-b border-line px-4 py-3">
        <h2 id={heading} className="text-base">
          {title}
        </h2>
        {!firm && (
          <button type="button" className="button button-quiet" aria-label="Close" onClick={onClose}>
            ✕
          </button>
        )}
      </div>
      <div className="p-4">{children}</div>
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
