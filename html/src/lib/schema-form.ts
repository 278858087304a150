// A form from the JSON schema of a type's payload. What it has no field for stays in the payload untouched, and is edited
// as JSON.

export interface Schema {
  type?: string | string[];
  description?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
}

export type Kind = 'text' | 'number' | 'integer' | 'boolean' | 'choice' | 'list' | 'json';

export interface Field {
  name: string;
  kind: Kind;
  required: boolean;
  description: string;
  choices: string[];
  schema: Schema;
}

function kindOf(schema: Schema): Kind {
  const type = Array.isArray(schema.type) ? schema.type.find((one) => one !== 'null') : schema.type;
  if (schema.enum ?? schema.const !== undefined) {
    return (schema.enum ?? [schema.const]).every((value) => typeof value === 'string') ? 'choice' : 'json';
  }
  switch (type) {
    case 'string':
      return 'text';
    case 'number':
    case 'integer':
    case 'boolean':
      return type;
    case 'array':
      return schema.items?.type === 'string' ? 'list' : 'json';
    default:
      return 'json';
  }
}

/** The fields of the form, the required ones first. */
export function fieldsOf(schema: Schema): Field[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {})
    .map(([name, member]) => ({
      name,
      kind: kindOf(member),
      required: required.has(name),
      description: member.description ?? '',
      choices: (member.enum ?? (member.const === undefined ? [] : [member.const])).map(String),
      schema: member,
    }))
    .sort((a, b) => Number(b.required) - Number(a.required));
}

/** What stands in a field for a value of the payload. */
export function textOf(field: Field, value: unknown): string {
  if (value === undefined || value === null) {
    return '';
  }
  if (field.kind === 'list' && Array.isArray(value)) {
    return value.join(', ');
  }
  return typeof value === 'string' && field.kind !== 'json' ? value : JSON.stringify(value);
}

/** The value of what was typed: undefined for nothing. Throws an Error with words for the person who typed. */
export function valueOf(field: Field, text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === '') {
    return undefined;
  }
  switch (field.kind) {
    case 'number':
    case 'integer': {
      const value = Number(trimmed);
      const { minimum, maximum } = field.schema;
      if (!Number.isFinite(value) || (field.kind === 'integer' && !Number.isInteger(value))) {
        throw new Error(field.kind === 'integer' ? 'must be a whole number' : 'must be a number');
      }
      if ((minimum !== undefined && value < minimum) || (maximum !== undefined && value > maximum)) {
        throw new Error(`must be ${minimum === undefined ? '' : `at least ${minimum}`}${minimum !== undefined && maximum !== undefined ? ' and ' : ''}${maximum === undefined ? '' : `at most ${maximum}`}`);
      }
      return value;
    }
    case 'boolean':
      return trimmed === 'true';
    case 'list':
      return trimmed.split(',').map((item) => item.trim()).filter(Boolean);
    case 'json':
      try {
        return JSON.parse(trimmed) as unknown;
      } catch {
        throw new Error('is not JSON');
      }
    default:
      return text;
  }
}

/** A first payload: the defaults, and the only choice where there is one. */
export function initialPayload(schema: Schema): Record<string, unknown> {
  const payload: Record<string, unknown> = {};
  for (const field of fieldsOf(schema)) {
    const value = field.schema.default ?? (field.required ? (field.schema.const ?? field.schema.minimum) : undefined);
    if (value !== undefined) {
      payload[field.name] = value;
    }
  }
  return payload;
}

/** The payload with one member changed; undefined takes it away. */
export function withMember(payload: Record<string, unknown>, name: string, value: unknown): Record<string, unknown> {
  const rest = Object.fromEntries(Object.entries(payload).filter(([key]) => key !== name));
  return value === undefined ? rest : { ...payload, [name]: value };
}
