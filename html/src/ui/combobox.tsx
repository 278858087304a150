import { useId, useState, type KeyboardEvent } from 'react';

interface Option {
  value: string;
  note: string;
}

interface Props {
  options: Option[];
  value: string;
  onChange: (value: string) => void;
  id?: string;
  'aria-invalid'?: boolean;
  'aria-describedby'?: string | undefined;
}

/** A text for which there are proposals, all of them until somebody types (ARIA Authoring Practices: combobox, list). */
export function Combobox({ options, value, onChange, ...attributes }: Props) {
  const list = useId();
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState(false);
  const [at, setAt] = useState(-1);
  const shown = typed ? options.filter((one) => one.value.includes(value.trim().toLowerCase())) : options;
  const show = () => {
    setOpen(true);
    setTyped(false);
    setAt(options.findIndex((one) => one.value === value));
  };
  const take = (option: Option) => {
    onChange(option.value);
    setOpen(false);
  };
  const key = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const chosen = shown[at];
    if (step && !open) {
      show();
    } else if (step && shown.length) {
      const next = (at + step + shown.length) % shown.length;
      setAt(next);
      document.getElementById(`${list}-${next}`)?.scrollIntoView({ block: 'nearest' });
    } else if (event.key === 'Enter' && open && chosen) {
      take(chosen);
    } else if (event.key === 'Escape' && open) {
      setOpen(false);
    } else {
      return;
    }
    event.preventDefault();
  };
  const visible = open && shown.length > 0;
  return (
    <div className="relative">
      <input
        {...attributes}
        className="input"
        role="combobox"
        aria-autocomplete="list"
        aria-expanded={visible}
        aria-controls={visible ? list : undefined}
        aria-activedescendant={visible && at >= 0 ? `${list}-${at}` : undefined}
        autoComplete="off"
        spellCheck={false}
        required
        value={value}
        onClick={show}
        onBlur={() => setOpen(false)}
        onKeyDown={key}
        onChange={(event) => {
          onChange(event.target.value);
          setOpen(true);
          setTyped(true);
          setAt(-1);
        }}
      />
      {visible && (
        <ul id={list} role="listbox" aria-label="Proposals" className="absolute inset-x-0 top-full z-10 mt-1 max-h-72 overflow-y-auto rounded border border-line bg-surface py-1 shadow-lg sm:w-96">
          {shown.map((option, index) => (
            // the keyboard is the text's
            // eslint-disable-next-line jsx-a11y/click-events-have-key-events
            <li
              key={option.value}
              id={`${list}-${index}`}
              role="option"
              aria-selected={option.value === value}
              className={`cursor-pointer px-3 py-1.5 ${index === at ? 'bg-raised' : 'hover:bg-canvas'}`}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => take(option)}
            >
              <span className={option.value === value ? 'font-semibold' : 'font-medium'}>{option.value}</span>
              <span className="block truncate text-xs text-muted">{option.note}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
