import { lazy, Suspense, useState } from 'react';

import type { Submission } from '../lib/api';
import { useMay } from '../lib/me';

const SubmitDialog = lazy(() => import('./submit-dialog'));

/** Opens the form for a new job, for those who may submit. */
export function SubmitButton({ label = 'Submit a job', initial }: { label?: string; initial?: Submission }) {
  const may = useMay('operator');
  const [open, setOpen] = useState(false);
  if (!may) {
    return null;
  }
  return (
    <>
      <button type="button" className={`button ${initial ? '' : 'button-primary'}`} onClick={() => setOpen(true)}>
        {label}
      </button>
      {open && (
        <Suspense>
          <SubmitDialog initial={initial} onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}
