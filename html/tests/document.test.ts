// The API's document: every operation shows by an example what goes in and what comes out, and the examples are true.
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';

import { apiDocument } from '../tools/document.js';

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Node = any;

const document: Node = apiDocument();
const ajv = new Ajv({ strict: false });
addFormats(ajv);
ajv.addSchema(document, 'openapi.yaml');

const wrong = (keys: string[], example: unknown): string | null => {
  const pointer = keys.map((key) => encodeURIComponent(key.replace(/~/g, '~0').replace(/\//g, '~1'))).join('/');
  const check = ajv.compile({ $ref: `openapi.yaml#/${pointer}` });
  return check(example) ? null : ajv.errorsText(check.errors, { dataVar: keys.join(' ') });
};

/** What a reference means, and where that is. */
function found(node: Node, at: string[]): [Node, string[]] {
  if (!node.$ref) {
    return [node, at];
  }
  const keys: string[] = node.$ref.split('/').slice(1);
  return [keys.reduce((whole: Node, key) => whole[key], document), keys];
}

/** Whether it, what it may be, or what it is a list of, has an example. */
function tells(schema: Node): boolean {
  const [whole] = found(schema, []);
  return 'examples' in whole || [...(whole.anyOf ?? []), whole.items, whole.properties?.items].some((part: Node) => part && tells(part));
}

/** Every body of JSON that goes in, or comes out when all went well. */
const bodies = Object.entries<Node>(document.paths).flatMap(([path, item]) =>
  Object.entries<Node>(item).filter(([method]) => method !== 'parameters').flatMap(([method, operation]) => {
    const at = ['paths', path, method];
    const answers = Object.entries<Node>(operation.responses).filter(([status]) => status !== 'default');
    return [
      ...(operation.requestBody ? [[operation.requestBody, [...at, 'requestBody']]] : []),
      ...answers.map(([status, answer]) => found(answer, [...at, 'responses', status])),
    ].flatMap(([body, place]: Node[]) => {
      const media = body.content?.['application/json'];
      return media ? [{ name: `${method} ${path}: ${place.at(-1)}`, media, at: [...place, 'content', 'application/json', 'schema'] }] : [];
    });
  }),
);
const examplesOf = (media: Node): unknown[] => [
  ...('example' in media ? [media.example] : []), ...Object.values<Node>(media.examples ?? {}).map(({ value }) => value),
];

describe('the API\'s document', () => {
  it('has an example of every body', () => {
    expect(bodies.length).toBeGreaterThan(60);
    expect(bodies.filter(({ media }) => !examplesOf(media).length && !tells(media.schema)).map(({ name }) => name)).toEqual([]);
  });
  it('has examples that are as it says', () => {
    const complaints = [
      ...bodies.flatMap(({ media, at }) => examplesOf(media).map((example) => wrong(at, example))),
      ...Object.entries<Node>(document.components.schemas).flatMap(([name, { examples }]) =>
        (examples ?? []).map((example: unknown) => wrong(['components', 'schemas', name], example))),
    ];
    expect(complaints.length).toBeGreaterThan(30);
    expect(complaints.filter(Boolean)).toEqual([]);
  });
});
