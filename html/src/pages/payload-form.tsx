import { useState } from 'react';

import { fieldsOf, textOf, valueOf, withMember, type Field as Member, type Schema } from '../lib/schema-form';
import { Field } from '../ui/field';

interface Props {
  schema: Schema | undefined;
  payload: Record<string, unknown>;
  error: string | undefined;
  onChange: (payload: Record<string, unknown>) => void;
}

/** A form where the type says what its payload is, else JSON. */
export function PayloadForm({ schema, payload, error, onChange }: Props) {
  const fields = schema ? fieldsOf(schema) : [];
  if (!fields.length) {
    return <PayloadJson payload={payload} error={error} onChange={onChange} />;
  }
  return (
    <fieldset className="space-y-3 rounded border border-line p-3">
      <legend className="px-1 text-xs font-medium">Payload</legend>
      <div className="grid gap-3 sm:grid-cols-2">
        {fields.map((field) => (
          <MemberField key={field.name} field={field} payload={payload} onChange={onChange} />
        ))}
      </div>
      {error && <p role="alert" className="text-xs text-bad">{error}</p>}
    </fieldset>
  );
}

function MemberField({ field, payload, onChange }: { field: Member; payload: Props['payload']; onChange: Props['onChange'] }) {
  const [text, setText] = useState(textOf(field, payload[field.name]));
  const [wrong, setWrong] = useState<string | undefined>();
  const type = (value: string) => {
    setText(value);
    try {
      onChange(withMember(payload, field.name, valueOf(field, value)));
      setWrong(undefined);
    } catch (error) {
      setWrong(error instanceof Error ? error.message : String(error));
    }
  };
  const hint = [field.description, field.kind === 'list' && 'with commas between'].filter(Boolean).join(', ');
  return (
    <Field label={field.required ? `${field.name} *` : field.name} hint={hint} error={wrong}>
      {field.kind === 'choice' || field.kind === 'boolean' ? (
        <select className="input" value={text} onChange={(event) => type(event.target.value)}>
          {!field.required && <option value="">–</option>}
          {(field.kind === 'boolean' ? ['true', 'false'] : field.choices).map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      ) : (
        <input className="input" inputMode={field.kind === 'number' || field.kind === 'integer' ? 'decimal' : 'text'} required={field.required} value={text} onChange={(event) => type(event.target.value)} />
      )}
    </Field>
  );
}

function PayloadJson({ payload, error, onChange }: Omit<Props, 'schema'>) {
  const [text, setText] = useState(JSON.stringify(payload, null, 2));
  const [wrong, setWrong] = useState<string | undefined>();
  return (
    <Field label="Payload, JSON" hint="An object" error={wrong ?? error}>
      <textarea
        className="input"
        rows={5}
        spellCheck={false}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          try {
            onChange(JSON.parse(event.target.value) as Record<string, unknown>);
            setWrong(undefined);
          } catch {
            setWrong('is not JSON yet');
          }
        }}
      />
    </Field>
  );
}
