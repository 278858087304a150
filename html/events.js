'use strict';

// The last events of /ws as they come, newest first.
const ROWS = 100;
const state = document.getElementById('state');
const rows = document.getElementById('events');
let retryMs = 500;

function show(event) {
  const job = event.job || {};
  const row = rows.insertRow(0);
  const time = event.ts ? new Date(event.ts).toLocaleTimeString() : '';
  for (const text of [time, event.event, job.type, job.queue, job.attempt]) {
    row.insertCell().textContent = text ?? '';
  }
  const cell = row.insertCell();
  if (job.id) {
    const link = document.createElement('a');
    link.href = '/api/v1/jobs/' + encodeURIComponent(job.id);
    link.textContent = job.id;
    cell.append(link);
  }
  while (rows.rows.length > ROWS) {
    rows.deleteRow(-1);
  }
}

function connect() {
  const scheme = location.protocol === 'https:' ? 'wss://' : 'ws://';
  const socket = new WebSocket(scheme + location.host + '/ws');
  socket.onopen = () => {
    state.textContent = 'live';
    retryMs = 500;
  };
  // a message may hold several events, one a line
  socket.onmessage = (message) => message.data.split('\n').filter(Boolean).map(JSON.parse).forEach(show);
  socket.onclose = () => {
    state.textContent = 'disconnected, trying again';
    // spread out, so that a restart is not followed by everybody at once
    setTimeout(connect, retryMs * (0.5 + Math.random()));
    retryMs = Math.min(retryMs * 2, 30000);
  };
}

connect();
