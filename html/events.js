'use strict';

// Signs in, then shows the last events of /ws as they come, newest first. The tokens live in this page alone: a reload
// asks again.
const ROWS = 100;
const element = (id) => document.getElementById(id);
const rows = element('events');
let retryMs = 500;
let tokens;

async function post(path, body) {
  const answer = await fetch('/api/v1' + path, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
  const json = await answer.json();
  if (!answer.ok) {
    throw new Error(json.detail || json.title);
  }
  return json;
}

element('login').onsubmit = async (submission) => {
  submission.preventDefault();
  const fields = new FormData(submission.target);
  try {
    tokens = await post('/auth/login', { username: fields.get('username'), password: fields.get('password') });
  } catch (error) {
    element('problem').textContent = error.message;
    return;
  }
  element('login').hidden = true;
  element('live').hidden = false;
  connect();
  summarize();
};

function show(event) {
  const job = event.job || {};
  const row = rows.insertRow(0);
  const time = event.ts ? new Date(event.ts).toLocaleTimeString() : '';
  for (const text of [time, event.event, job.type, job.queue, job.attempt, job.id]) {
    row.insertCell().textContent = text ?? '';
  }
  while (rows.rows.length > ROWS) {
    rows.deleteRow(-1);
  }
}

async function summarize() {
  const answer = await fetch('/api/v1/jobs/metrics/summary', { headers: { Authorization: 'Bearer ' + tokens.access_token } });
  if (answer.ok) {
    const { total, by_status: by } = await answer.json();
    element('summary').textContent = `${total} jobs: ` + Object.keys(by).filter((name) => by[name])
      .map((name) => `${by[name]} ${name.toLowerCase().replace('_', ' ')}`).join(', ');
  }
  setTimeout(summarize, 5000);
}

function connect() {
  const scheme = location.protocol === 'https:' ? 'wss://' : 'ws://';
  const socket = new WebSocket(scheme + location.host + '/ws', ['taskforge', 'bearer.' + tokens.access_token]);
  socket.onopen = () => {
    element('state').textContent = 'live';
    retryMs = 500;
  };
  // a message may hold several events, one a line
  socket.onmessage = (message) => message.data.split('\n').filter(Boolean).map(JSON.parse).forEach(show);
  socket.onclose = () => {
    element('state').textContent = 'disconnected, trying again';
    // spread out, so that a restart is not followed by everybody at once
    setTimeout(reconnect, retryMs * (0.5 + Math.random()));
    retryMs = Math.min(retryMs * 2, 30000);
  };
}

// The access token may have expired: that is one of the reasons why a connection ends.
async function reconnect() {
  try {
    tokens = await post('/auth/refresh', { refresh_token: tokens.refresh_token });
  } catch (error) {
    element('state').textContent = error.message;
  }
  connect();
}
