import { readFileSync } from 'node:fs';

import { parse } from 'yaml';

const read = (file) => parse(readFileSync(new URL(`../api/${file}`, import.meta.url), 'utf8'), { merge: true });

/** api/openapi.yaml, with what it says once for several places (YAML's merge keys) said everywhere. */
export const apiDocument = () => read('openapi.yaml');

/** api/asyncapi.yaml: the events; it refers to the other's schemas. */
export const eventsDocument = () => read('asyncapi.yaml');
