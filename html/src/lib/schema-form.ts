// A form from the JSON schema of a type's payload. What it has no field for stays in the payload untouched, and is edited
// as JSON.
import { parseJson } from './exact-json';

export interface Schema {
  type?: string | string[];
  description?: string;
  deprecated?: boolean;
  format?: string;
  examples?: unknown[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  anyOf?: Schema[];
  allOf?: Schema[];
}

export type Kind = 'text' | 'number' | 'integer' | 'boolean' | 'choice' | 'list' | 'json';

export interface Field {
  name: string;
  kind: Kind;
  required: boolean;
  /** names of which one must be there, this one among them; none: it stands alone */
  group: string[];
  choices: string[];
  schema: Schema;
}

/** What a value may be: the types that are named, and those of what it may be one of. */
function typesOf(schema: Schema): string[] {
  const own = schema.type === undefined ? [] : [schema.type].flat();
  const listed = schema.enum ?? (schema.const === undefined ? [] : [schema.const]);
  return [...own, ...listed.map((value) => typeof value), ...(schema.anyOf ?? []).flatMap(typesOf)].filter((type) => type !== 'null');
}

const itemsOf = (schema: Schema): Schema => schema.items ?? schema.anyOf?.find((one) => one.items)?.items ?? {};
const isScalar = (type: string): boolean => type === 'string' || type === 'number' || type === 'integer';

function kindOf(schema: Schema): Kind {
  const types = typesOf(schema);
  if (schema.enum ?? schema.const !== undefined) {
    return types.every((type) => type === 'string') ? 'choice' : 'json';
  }
  if (types.includes('array')) {
    const words = types.every((type) => type === 'array' || type === 'string') && typesOf(itemsOf(schema)).some(isScalar);
    return words ? 'list' : 'json';
  }
  switch (types[0]) {
    case 'string':
      return 'text';
    case 'number':
    case 'integer':
    case 'boolean':
      return types[0];
    default:
      return 'json';
  }
}

/** Lists of members of which one must be there: {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}. */
function groupsOf(schema: Schema): string[][] {
  return [schema, ...(schema.allOf ?? [])].map((one) => (one.anyOf ?? []).flatMap((choice) => choice.required ?? [])).filter((names) => names.length > 1);
}

/** The fields of the form: first what must be there. */
export function fieldsOf(schema: Schema): Field[] {
  const required = new Set(schema.required ?? []);
  const groups = groupsOf(schema);
  const rank = (field: Field): number => (field.required || field.group[0] === field.name ? 0 : 1);
  return Object.entries(schema.properties ?? {})
    .map(([name, member]) => ({
      name,
      kind: kindOf(member),
      required: required.has(name),
      group: required.has(name) ? [] : (groups.find((names) => names.includes(name)) ?? []),
      choices: (member.enum ?? (member.const === undefined ? [] : [member.const])).map(String),
      schema: member,
    }))
    .sort((a, b) => rank(a) - rank(b));
}

/** Whether it must be filled in: by itself, or as no other one of its group is. */
export const isWanted = (field: Field, payload: Record<string, unknown>): boolean =>
  field.required || (field.group[0] === field.name && !field.group.some((name) => name !== field.name && payload[name] !== undefined));

const AT_ONCE = 4;
const FEW = 3;

/**
 * Which fields are seen at once, and which when somebody asks for more: first what must be there or is used, then others in
 * the order of the schema. Old names are not offered, only shown where they are used.
 */
export function arranged(fields: Field[], payload: Record<string, unknown>): { first: Field[]; more: Field[] } {
  const used = (field: Field): boolean => field.required || field.group[0] === field.name || payload[field.name] !== undefined;
  const rest = fields.filter((field) => !used(field) && !field.schema.deprecated);
  const free = rest.filter((field) => !field.group.length).slice(0, Math.max(0, AT_ONCE - fields.filter(used).length));
  const more = rest.filter((field) => !free.includes(field));
  return more.length <= FEW
    ? { first: fields.filter((field) => used(field) || rest.includes(field)), more: [] }
    : { first: fields.filter((field) => used(field) || free.includes(field)), more };
}

/** What stands under a field. */
export function hintOf(field: Field, fields: Field[]): string {
  const { schema } = field;
  const others = field.group.filter((name) => name !== field.name && !fields.find((one) => one.name === name)?.schema.deprecated);
  const items = itemsOf(schema).enum;
  return [
    schema.description,
    field.group[0] === field.name && others.length > 0 && `or ${others.join(', ')}`,
    field.kind === 'list' && (items ? `of ${items.join(', ')}, with commas between` : 'with commas between'),
    field.kind === 'json' && 'JSON',
    schema.default !== undefined && field.kind !== 'choice' && field.kind !== 'boolean' && `default ${textOf(field, schema.default)}`,
  ].filter(Boolean).join('; ');
}

/** An example of what to type. */
export function exampleOf(field: Field): string {
  const example = field.schema.examples?.[0];
  return example === undefined ? '' : `e.g. ${textOf(field, example)}`;
}

/** Whether there may be lines of it. */
export const isLong = ({ kind, schema }: Field): boolean =>
  kind === 'json' || (kind === 'text' && schema.format === undefined && (schema.maxLength === undefined || schema.maxLength > 4096));

/** What stands in a field for a value of the payload. */
export function textOf(field: Field, value: unknown): string {
  if (value === undefined || value === null) {
    return '';
  }
  if (field.kind === 'list' && Array.isArray(value) && value.every((item) => isScalar(typeof item) && !String(item).includes(','))) {
    return value.join(', ');
  }
  return typeof value === 'string' && field.kind !== 'json' ? value : JSON.stringify(value, null, isLong(field) && JSON.stringify(value).length > 60 ? 2 : 0);
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    throw new Error('is not JSON');
  }
}

/** A whole number with more digits than a double holds keeps them. */
const exactly = (text: string, value: number): unknown => (/^-?[1-9]\d{15,}$/.test(text) ? parsed(text) : value);

function itemOf(types: string[], text: string): unknown {
  if (!types.includes('string') || /^-?\d+(\.\d+)?$/.test(text)) {
    const value = Number(text);
    if (types.includes('number') || (types.includes('integer') && Number.isInteger(value))) {
      if (Number.isFinite(value)) {
        return exactly(text, value);
      }
    }
    if (!types.includes('string')) {
      throw new Error(types.includes('number') ? 'must be numbers, with commas between' : 'must be whole numbers, with commas between');
    }
  }
  return text;
}

function listOf(schema: Schema, text: string): unknown {
  if (text.startsWith('[')) {
    return parsed(text);
  }
  const types = typesOf(itemsOf(schema));
  const items = text.split(',').map((item) => item.trim()).filter(Boolean).map((item) => itemOf(types, item));
  return items.length === 1 && typesOf(schema).includes('string') ? items[0] : items;
}

function numberOf(field: Field, text: string): unknown {
  const value = Number(text);
  const { minimum, exclusiveMinimum, maximum } = field.schema;
  if (!Number.isFinite(value) || (field.kind === 'integer' && !Number.isInteger(value))) {
    throw new Error(field.kind === 'integer' ? 'must be a whole number' : 'must be a number');
  }
  const limits = [
    minimum !== undefined && `at least ${minimum}`,
    exclusiveMinimum !== undefined && `more than ${exclusiveMinimum}`,
    maximum !== undefined && `at most ${maximum}`,
  ].filter(Boolean);
  if (value < (minimum ?? -Infinity) || value <= (exclusiveMinimum ?? -Infinity) || value > (maximum ?? Infinity)) {
    throw new Error(`must be ${limits.join(' and ')}`);
  }
  return exactly(text, value);
}

/** The value of what was typed: undefined for nothing. Throws an Error with words for the person who typed. */
export function valueOf(field: Field, text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === '') {
    return undefined;
  }
  switch (field.kind) {
    case 'number':
    case 'integer':
      return numberOf(field, trimmed);
    case 'boolean':
      return trimmed === 'true';
    case 'list':
      return listOf(field.schema, trimmed);
    case 'json':
      return parsed(trimmed);
    default:
      return trimmed.startsWith('{') && typesOf(field.schema).includes('object') ? parsed(trimmed) : text;
  }
}

/** A first payload: what must be there and can be known. The defaults of the rest are the handler's. */
export function initialPayload(schema: Schema): Record<string, unknown> {
  const payload: Record<string, unknown> = {};
  for (const field of fieldsOf(schema)) {
    const value = field.required ? (field.schema.default ?? field.schema.const ?? field.schema.minimum) : undefined;
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
