import { useEffect, useState } from 'react';

import { fromLocal, toLocal } from '../lib/local-time';

interface Props {
  /** in UTC, as the API has it */
  value: string | undefined;
  onChange: (value: string | undefined) => void;
  id?: string;
  'aria-invalid'?: boolean;
  'aria-describedby'?: string | undefined;
}

/** A day and a time of this place. */
export function TimeInput({ value, onChange, ...attributes }: Props) {
  const [text, setText] = useState(() => toLocal(value));
  // what is typed may be no time yet
  useEffect(() => setText((typed) => (fromLocal(typed) === value ? typed : toLocal(value))), [value]);
  return (
    <input
      type="datetime-local"
      className="input"
      min="1970-01-01T00:00"
      max="9999-12-31T23:59"
      step="any"
      value={text}
      {...attributes}
      onChange={(event) => {
        setText(event.target.value);
        onChange(fromLocal(event.target.value));
      }}
    />
  );
}
