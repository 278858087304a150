import { useState } from 'react';

import { complain } from './toast';

/** Copies a text, where the browser lets us: in a secure context. */
export function CopyButton({ what, text, className = '' }: { what: string; text: () => string; className?: string }) {
  const [copied, setCopied] = useState(false);
  const clipboard = navigator.clipboard as Clipboard | undefined;
  return clipboard ? (
    <button
      type="button"
      className={`button ${className}`}
      aria-label={`Copy ${what}`}
      onClick={() => {
        clipboard.writeText(text()).then(() => setCopied(true), complain);
      }}
    >
      {copied ? 'Copied' : 'Copy'}
    </button>
  ) : null;
}
