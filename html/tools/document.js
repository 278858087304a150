import { readFileSync } from 'node:fs';

import { parse } from 'yaml';

/** api/openapi.yaml, with what it says once for several places (YAML's merge keys) said everywhere. */
export function apiDocument() {
  return parse(readFileSync(new URL('../api/openapi.yaml', import.meta.url), 'utf8'), { merge: true });
}
