// After vite build: the API's documents as JSON and YAML, Swagger UI, and a compressed twin of every text for gzip_static.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

import { stringify } from 'yaml';

import { apiDocument, eventsDocument } from './document.js';

const out = process.env.TASKFORGE_HTML_OUT ?? 'dist';
const docs = `${out}/api/docs`;
mkdirSync(docs, { recursive: true });

for (const [name, document] of [['openapi', apiDocument()], ['asyncapi', eventsDocument()]]) {
  writeFileSync(`${out}/api/${name}.json`, JSON.stringify(document));
  writeFileSync(`${out}/api/${name}.yaml`, stringify(document, { aliasDuplicateObjects: false, lineWidth: 120 }));
}

for (const file of ['swagger-ui-bundle.js', 'swagger-ui.css']) {
  copyFileSync(`node_modules/swagger-ui-dist/${file}`, `${docs}/${file}`);
}
for (const file of readdirSync('swagger')) {
  copyFileSync(`swagger/${file}`, `${docs}/${file}`);
}

for (const entry of readdirSync(out, { recursive: true })) {
  if (/\.(js|css|html|svg|json|yaml)$/.test(entry)) {
    writeFileSync(`${out}/${entry}.gz`, gzipSync(readFileSync(`${out}/${entry}`), { level: 9 }));
  }
}
