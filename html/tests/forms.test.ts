// What people type and read: forms from schemas, filters in the address, cron in words, numbers.
import { describe, expect, it } from 'vitest';

import type { JobWhole } from '../src/lib/api';
import { bulkFilter, mayChange } from '../src/lib/bulk';
import { cronWords } from '../src/lib/cron';
import { filterOf, searchOf, toggled } from '../src/lib/filters';
import { count, duration, percent, quantile, relative } from '../src/lib/format';
import { fromLocal, toLocal } from '../src/lib/local-time';
import { arranged, fieldsOf, hintOf, initialPayload, isWanted, textOf, valueOf, withMember, type Field } from '../src/lib/schema-form';
import { copyOf, withRetry } from '../src/lib/submission';

const schema = {
  type: 'object',
  properties: {
    rows: { type: 'integer', minimum: 1 },
    dataset: { type: 'string', description: 'name of a file' },
    operation: { const: 'aggregate', default: 'aggregate' },
    columns: { type: 'array', items: { type: 'string' } },
    loud: { type: 'boolean' },
    rest: { type: 'object' },
  },
  required: ['dataset'],
};
const fields = fieldsOf(schema);
const field = (name: string): Field => {
  const found = fields.find((one) => one.name === name);
  if (!found) {
    throw new Error(name);
  }
  return found;
};

describe('a form from a schema', () => {
  it('has the required fields first, each of its kind', () => {
    expect(fields.map((one) => [one.name, one.kind])).toEqual([
      ['dataset', 'text'], ['rows', 'integer'], ['operation', 'choice'], ['columns', 'list'], ['loud', 'boolean'], ['rest', 'json'],
    ]);
  });
  it('makes values of what is typed, and says what is wrong', () => {
    expect(valueOf(field('rows'), '12')).toBe(12);
    expect(valueOf(field('columns'), 'units, revenue,')).toEqual(['units', 'revenue']);
    expect(valueOf(field('loud'), 'true')).toBe(true);
    expect(valueOf(field('rest'), '{"a":1}')).toEqual({ a: 1 });
    expect(valueOf(field('dataset'), '  ')).toBeUndefined();
    expect(() => valueOf(field('rows'), '1.5')).toThrow('whole number');
    expect(() => valueOf(field('rows'), '0')).toThrow('at least 1');
    expect(() => valueOf(field('rest'), '{')).toThrow('not JSON');
  });
  it('shows what a payload holds, and leaves the rest of it alone', () => {
    expect(textOf(field('columns'), ['a', 'b'])).toBe('a, b');
    expect(textOf(field('rest'), { a: 1 })).toBe('{"a":1}');
    expect(withMember({ dataset: 'x', other: 1 }, 'dataset', undefined)).toEqual({ other: 1 });
    expect(withMember({ other: 1 }, 'dataset', 'y')).toEqual({ other: 1, dataset: 'y' });
  });
  it('begins with what must be there, and leaves the defaults of the rest to the handler', () => {
    expect(initialPayload(schema)).toEqual({});
    expect(initialPayload({ ...schema, required: ['rows', 'operation'] })).toEqual({ rows: 1, operation: 'aggregate' });
  });
});

describe('a form from the schema of a type that takes this or that', () => {
  const call = fieldsOf({
    properties: {
      method: { enum: ['GET', 'POST'], default: 'GET' },
      url: { type: 'string' },
      endpoint: { type: 'string', deprecated: true },
      file: { type: 'string' },
      status: { type: 'array', items: { anyOf: [{ type: 'integer' }, { enum: ['2xx', '5xx'] }] }, default: ['2xx'] },
      ports: { type: 'array', items: { type: 'integer' } },
      to: { type: ['string', 'array'], items: { type: 'string' } },
      source: { type: ['string', 'object'] },
      amount: { type: ['number', 'string'], exclusiveMinimum: 0 },
    },
    anyOf: [{ required: ['url'] }, { required: ['endpoint'] }, { required: ['file'] }],
  });
  const one = (name: string): Field => call.find((field) => field.name === name) ?? field(name);
  it('wants one of them, and says which', () => {
    expect(call[0]?.name).toBe('url');
    expect(hintOf(one('url'), call)).toBe('or file');
    expect(isWanted(one('url'), {})).toBe(true);
    expect(isWanted(one('url'), { file: 'x' })).toBe(false);
    expect(isWanted(one('file'), {})).toBe(false);
  });
  it('shows what is used, the rest when asked, and no old names', () => {
    const { first, more } = arranged(call, { ports: [1] });
    expect(first.map((field) => field.name)).toEqual(['url', 'method', 'status', 'ports']);
    expect(more.map((field) => field.name)).toEqual(['file', 'to', 'source', 'amount']);
    expect(arranged(call, { endpoint: 'x' }).first.map((field) => field.name)).toEqual(['url', 'method', 'endpoint', 'status']);
  });
  it('takes numbers and words in one list, one address or many, a text or an object', () => {
    expect(valueOf(one('status'), '200, 5xx')).toEqual([200, '5xx']);
    expect(valueOf(one('ports'), '22, 443')).toEqual([22, 443]);
    expect(() => valueOf(one('ports'), '22, ssh')).toThrow('whole numbers');
    expect(valueOf(one('to'), 'ada@example.com')).toBe('ada@example.com');
    expect(valueOf(one('to'), 'ada@example.com, bob@example.com')).toEqual(['ada@example.com', 'bob@example.com']);
    expect(valueOf(one('to'), '["a, b"]')).toEqual(['a, b']);
    expect(valueOf(one('source'), 'file:x.csv')).toBe('file:x.csv');
    expect(valueOf(one('source'), '{"file": "x.csv"}')).toEqual({ file: 'x.csv' });
    expect(valueOf(one('amount'), '19.99')).toBe(19.99);
    expect(() => valueOf(one('amount'), '0')).toThrow('must be more than 0');
  });
});

describe('a duplicate', () => {
  const now = Date.parse('2026-01-01T12:00:00Z');
  const job = {
    type: 'sleep', payload: { seconds: 1 }, queue: 'default', priority: 'high', priority_value: 7, max_retries: 0, name: null,
    metadata: { order: 'A-1' }, scheduled_at: '2026-01-01T11:00:00.000000Z', expires_at: '2026-01-01T13:00:00.000000Z',
    timeout_seconds: 30, retry: { base_seconds: 2 }, webhook_url: null,
  } as unknown as JobWhole;
  it('is what was submitted, without times that have passed', () => {
    expect(copyOf(job, now)).toEqual({
      type: 'sleep', payload: { seconds: 1 }, queue: 'default', priority: 7, max_retries: 0, metadata: { order: 'A-1' },
      expires_at: '2026-01-01T13:00:00.000000Z', timeout_seconds: 30, retry: { base_seconds: 2 },
    });
    expect(copyOf({ ...job, priority_value: 8 }, now).priority).toBe('high');
    expect(copyOf(job, now - 7_200_000)).toHaveProperty('scheduled_at', '2026-01-01T11:00:00.000000Z');
  });
  it('has no rules for retries when none are left', () => {
    expect(withRetry(undefined, 'base_seconds', 2)).toEqual({ base_seconds: 2 });
    expect(withRetry({ base_seconds: 2, jitter: false }, 'base_seconds', undefined)).toEqual({ jitter: false });
    expect(withRetry({ base_seconds: 2 }, 'base_seconds', undefined)).toBeUndefined();
  });
});

describe('a filter', () => {
  it('goes into the address and comes back', () => {
    const filter = { status: 'FAILED,DEAD_LETTER', q: 'a & b', queue: 'reports' };
    expect(filterOf(searchOf(filter))).toEqual(filter);
    expect(filterOf('?status=&unknown=1')).toEqual({});
  });
  it('turns a state on and off', () => {
    expect(toggled('FAILED', 'QUEUED')).toBe('FAILED,QUEUED');
    expect(toggled('FAILED,QUEUED', 'FAILED')).toBe('QUEUED');
  });
  it('is narrowed to what an action can change', () => {
    expect(bulkFilter('cancel', { status: 'QUEUED,SUCCESS', q: 'x', internal: '1' })).toEqual({ status: ['QUEUED'], q: 'x' });
    expect(bulkFilter('cancel', { status: 'SUCCESS' })).toBeNull();
    expect(mayChange('retry', 'DEAD_LETTER')).toBe(true);
    expect(mayChange('delete', 'RUNNING')).toBe(false);
  });
});

describe('a time that is typed', () => {
  it('is of this place, and goes into the address and back', () => {
    const typed = ['2026-03-01T09:05', '2026-07-01T23:59:30'];
    expect(typed.map((text) => toLocal(fromLocal(text)))).toEqual(typed);
    expect(fromLocal('2026-03-01T09:05')).toBe(new Date(2026, 2, 1, 9, 5).toISOString());
    expect([toLocal(undefined), toLocal('yesterday'), fromLocal('')]).toEqual(['', '', undefined]);
  });
});

describe('words', () => {
  it('say what a cron expression means', () => {
    expect(cronWords('0 3 * * *')).toBe('At 03:00');
    expect(cronWords('@every 1h30m')).toBe('Every 1 hour 30 minutes');
    expect(cronWords('@every 60s')).toBe('Every minute');
    expect(cronWords('@every 90s')).toBe('Every 1 minute 30 seconds');
    expect(cronWords('@every 1m')).toBe('Every minute');
    expect(cronWords('@daily')).toBe('Every day at midnight');
    expect(cronWords('nonsense')).toBeNull();
  });
  it('say how long and how many', () => {
    expect([0, 0.0000042, 0.0123, 2.345, 75, 3600, 90061].map(duration)).toEqual(['0 s', '4 µs', '12 ms', '2.3 s', '1 min 15 s', '1 h', '1 d 1 h']);
    expect(duration(null)).toBe('–');
    expect(count(1234567)).toBe('1.2M');
    expect([1, 0.99999, 0.5].map(percent)).toEqual(['100 %', '99.99 %', '50.0 %']);
    expect(relative('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:02:05Z'))).toBe('2 min ago');
    expect(relative('2026-01-01T00:01:00Z', Date.parse('2026-01-01T00:00:00Z'))).toBe('in 1 min');
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(3);
    expect(quantile([], 0.5)).toBeNull();
  });
});
