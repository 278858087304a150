import { useEffect, useRef, useState } from 'react';

import { parseJson } from '../lib/exact-json';
import { arranged, exampleOf, fieldsOf, hintOf, isLong, isWanted, textOf, valueOf, withMember, type Field as Member, type Schema } from '../lib/schema-form';
import { Field } from '../ui/field';

interface Props {
  schema: Schema | undefined;
  payload: Record<string, unknown>;
  /** what the server says is wrong: "payload", or "payload/" and a member */
  errors: Record<string, string>;
  onChange: (payload: Record<string, unknown>) => void;
}

/** A form where the type says what its payload is, else JSON. */
export function PayloadForm({ schema, payload, errors, onChange }: Props) {
  const fields = schema ? fieldsOf(schema) : [];
  // a field does not move while somebody types
  const [{ first, more }] = useState(() => arranged(fields, payload));
  const latest = useRef(payload);
  latest.current = payload;
  if (!fields.length) {
    return <JsonField label="Payload, JSON" hint="An object" value={payload} error={errors.payload} onChange={(typed) => onChange(typed ?? {})} />;
  }
  const form = (members: Member[]) => (
    <div className="grid gap-3 sm:grid-cols-2">
      {members.map((field) => (
        <MemberField
          key={field.name}
          field={field}
          hint={hintOf(field, fields)}
          wanted={isWanted(field, payload)}
          value={payload[field.name]}
          error={errors[`payload/${field.name}`]}
          onChange={(value) => onChange((latest.current = withMember(latest.current, field.name, value)))}
        />
      ))}
    </div>
  );
  return (
    <fieldset className="space-y-3 rounded border border-line px-3 pb-3 pt-2">
      <legend className="px-1 text-xs font-medium">Payload <span className="font-normal text-muted">(* must be filled in)</span></legend>
      {form(first)}
      {more.length > 0 && (
        <details>
          <summary className="cursor-pointer text-xs">
            <span className="font-medium">{more.length} more</span> <span className="text-muted">{more.map((field) => field.name).join(', ')}</span>
          </summary>
          <div className="mt-3">{form(more)}</div>
        </details>
      )}
      {errors.payload && <p role="alert" className="text-xs text-bad">{errors.payload}</p>}
    </fieldset>
  );
}

interface MemberProps {
  field: Member;
  hint: string;
  wanted: boolean;
  value: unknown;
  error: string | undefined;
  onChange: (value: unknown) => void;
}

function MemberField({ field, hint, wanted, value, error, onChange }: MemberProps) {
  const [text, setText] = useState(() => textOf(field, value));
  const [wrong, setWrong] = useState<string | undefined>();
  const element = useRef<HTMLInputElement & HTMLTextAreaElement>(null);
  // what is wrong is not sent without it: the browser goes to it instead
  useEffect(() => element.current?.setCustomValidity(wrong ?? ''), [wrong]);
  const type = (typed: string) => {
    setText(typed);
    try {
      onChange(valueOf(field, typed));
      setWrong(undefined);
    } catch (thrown) {
      setWrong(thrown instanceof Error ? thrown.message : String(thrown));
    }
  };
  const long = isLong(field);
  const lines = text.split('\n').length + Math.floor(text.length / 80);
  const shared = { required: wanted, value: text, placeholder: exampleOf(field) };
  const standard = field.schema.default === undefined ? '–' : `${textOf(field, field.schema.default)} (default)`;
  return (
    <div className={long ? 'sm:col-span-2' : ''}>
      <Field label={field.required || field.group[0] === field.name ? `${field.name} *` : field.name} hint={hint} error={wrong ?? error}>
        {field.kind === 'choice' || field.kind === 'boolean' ? (
          <select className="input" required={wanted} value={text} onChange={(event) => type(event.target.value)}>
            {(!field.required || !text) && <option value="">{standard}</option>}
            {(field.kind === 'boolean' ? ['true', 'false'] : field.choices).map((choice) => (
              <option key={choice}>{choice}</option>
            ))}
          </select>
        ) : long ? (
          <textarea
            ref={element}
            className={`input ${field.kind === 'json' ? '' : 'prose'}`}
            rows={Math.min(Math.max(lines, field.kind === 'json' ? 2 : 1), 10)}
            spellCheck={false}
            {...shared}
            onChange={(event) => type(event.target.value)}
          />
        ) : (
          <input
            ref={element}
            className="input"
            inputMode={field.kind === 'number' || field.kind === 'integer' ? 'decimal' : 'text'}
            {...shared}
            onChange={(event) => type(event.target.value)}
          />
        )}
      </Field>
    </div>
  );
}

interface JsonProps {
  label: string;
  hint: string;
  value: Record<string, unknown> | undefined;
  error: string | undefined;
  /** undefined: nothing is typed */
  onChange: (value: Record<string, unknown> | undefined) => void;
}

/** An object, typed as JSON. */
export function JsonField({ label, hint, value, error, onChange }: JsonProps) {
  const [text, setText] = useState(() => (value === undefined ? '' : JSON.stringify(value, null, 2)));
  const [wrong, setWrong] = useState<string | undefined>();
  const element = useRef<HTMLTextAreaElement>(null);
  useEffect(() => element.current?.setCustomValidity(wrong ?? ''), [wrong]);
  return (
    <Field label={label} hint={hint} error={wrong ?? error}>
      <textarea
        ref={element}
        className="input"
        rows={Math.min(Math.max(text.split('\n').length, value === undefined ? 1 : 4), 12)}
        spellCheck={false}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          try {
            onChange(event.target.value.trim() ? (parseJson(event.target.value) as Record<string, unknown>) : undefined);
            setWrong(undefined);
          } catch {
            setWrong('is not JSON yet');
          }
        }}
      />
    </Field>
  );
}
