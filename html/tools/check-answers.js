// Holds the answers and events that the test-suite saw (t/lib/TaskForge/Record.pm) against the API's documents:
//   node html/tools/check-answers.js DIRECTORY
// Exit status 1 when one of them is not as documented. Tests also ask for what there is not: such answers must be problems.
import { readdirSync, readFileSync } from 'node:fs';

import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

import { apiDocument, eventsDocument } from './document.js';

const BASE = '/api/v1';
const document = apiDocument();
const ajv = new Ajv({ strict: false, allErrors: false });
addFormats(ajv);
ajv.addSchema(document, 'openapi.yaml');
const events = eventsDocument();
ajv.addSchema(events, 'asyncapi.yaml');

const pointer = (...keys) => `openapi.yaml#/${keys.map((key) => encodeURIComponent(key.replace(/~/g, '~0').replace(/\//g, '~1'))).join('/')}`;
const compiled = new Map();
const compile = (at) => {
  if (!compiled.has(at)) {
    compiled.set(at, ajv.compile({ $ref: at }));
  }
  return compiled.get(at);
};

// literal segments come before a hole, as in the module's table
const routes = Object.keys(document.paths)
  .map((path) => ({ path, holes: path.split('{').length, pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`) }))
  .sort((a, b) => a.holes - b.holes);
const problemAt = pointer('components', 'schemas', 'Problem');

function responseAt(path, method, status) {
  const responses = document.paths[path][method].responses;
  const key = status in responses ? String(status) : 'default';
  const { $ref } = responses[key];
  const name = $ref?.split('/').at(-1);
  const response = name ? document.components.responses[name] : responses[key];
  const at = name ? ['components', 'responses', name] : ['paths', path, method, 'responses', key];
  return { response, at };
}

/** What is wrong with the answer, or null. */
function complaint(answer) {
  const path = answer.path.slice(BASE.length).replace(/\?.*/s, '');
  const methods = { head: 'get' };
  const method = methods[answer.method.toLowerCase()] ?? answer.method.toLowerCase();
  if (answer.method === 'OPTIONS' || answer.method === 'HEAD') {
    return null;
  }
  const type = answer.type.replace(/;.*/, '');
  const route = routes.find(({ pattern, path: known }) => pattern.test(path) && document.paths[known][method]);
  // nginx itself answers, before the API is asked: what it refuses, and where plain HTTP is sent on to TLS
  if ((answer.status === 400 && /%00/.test(path)) || answer.status === 308) {
    return null;
  }
  if (!route || answer.status >= 400) {
    if (answer.status < 400) {
      return 'there is no such operation, and yet it was answered';
    }
    return type === 'application/problem+json' ? validate(problemAt, answer.body) : `an error of type ${type}`;
  }
  const { response, at } = responseAt(route.path, method, answer.status);
  if (at.at(-1) === 'default' || at.at(-1) === 'Problem') {
    return `the operation has no answer ${answer.status}`;
  }
  if (!response.content) {
    return answer.body === '' ? null : 'a body where there should be none';
  }
  if (response.content['*/*']) {
    return null; // a file of a job is what it is
  }
  if (!response.content[type]) {
    return `content of type ${type}`;
  }
  return validate(pointer(...at, 'content', type, 'schema'), answer.body);
}

function validate(at, text) {
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    return 'no JSON';
  }
  const check = compile(at);
  return check(body) ? null : ajv.errorsText(check.errors, { dataVar: 'body' });
}

/** What is wrong with the message, or null. */
function messageComplaint({ channel, message }) {
  const { messages } = Object.values(events.channels).find(({ address }) => address === channel);
  const wrong = Object.keys(messages)
    .filter((name) => name !== 'ping')
    .map((name) => validate(`asyncapi.yaml#/components/schemas/${events.components.messages[name].payload.$ref.split('/').at(-1)}`, message));
  return wrong.includes(null) ? null : wrong.join('; ');
}

const directory = process.argv[2];
let checked = 0;
const complaints = new Map();
for (const file of readdirSync(directory)) {
  for (const line of readFileSync(`${directory}/${file}`, 'utf8').split('\n').filter(Boolean)) {
    const answer = JSON.parse(line);
    checked++;
    const wrong = answer.channel ? messageComplaint(answer) : complaint(answer);
    if (wrong && answer.channel) {
      complaints.set(`${answer.channel}: ${wrong}`, answer.message);
    } else if (wrong) {
      complaints.set(`${answer.method} ${answer.path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '{id}')} ${answer.status}: ${wrong}`, answer.body);
    }
  }
}
for (const [words, body] of complaints) {
  console.log(`${words}\n    ${body.slice(0, 300)}`);
}
console.log(`${checked} answers and events checked against the API's documents, ${complaints.size} kinds are not as documented`);
process.exit(complaints.size || !checked ? 1 : 0);
