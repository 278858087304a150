// Chromium over its DevTools pipe, one session per page, with nothing switched on that is not asked for. playwright-core
// has the browser tell it of every message of every WebSocket: with thousands a second that costs more than the page does.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ARGUMENTS, EXECUTABLE } from './browser.js';

export class DevTools {
  #calls = new Map();
  #id = 0;
  #rest = '';

  constructor() {
    this.profile = mkdtempSync(join(tmpdir(), 'taskforge-chromium-'));
    this.process = spawn(EXECUTABLE, [
      ...ARGUMENTS, '--headless', '--remote-debugging-pipe', `--user-data-dir=${this.profile}`, '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-extensions', '--disable-sync', '--password-store=basic', '--window-size=1280,860', 'about:blank',
    ], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], detached: true }); // Ctrl-C is for who started it
    this.ended = new Promise((resolve) => this.process.once('close', resolve));
    this.process.stdio[4].setEncoding('utf8').on('data', (data) => this.#take(data));
    this.process.once('exit', (status) => {
      this.#calls.forEach(({ reject }) => reject(new Error(`Chromium ended with status ${status}`)));
      this.#calls.clear();
    });
  }

  #take(data) {
    const messages = (this.#rest + data).split('\0');
    this.#rest = messages.pop();
    for (const { id, result, error } of messages.map((text) => JSON.parse(text))) {
      const call = this.#calls.get(id); // events have no id; none was asked for
      this.#calls.delete(id);
      if (error) {
        call?.reject(new Error(`${call.method}: ${error.message}`));
      } else {
        call?.resolve(result);
      }
    }
  }

  send(method, params = {}, sessionId = undefined) {
    return new Promise((resolve, reject) => {
      this.#calls.set(++this.#id, { resolve, reject, method });
      this.process.stdio[3].write(`${JSON.stringify({ id: this.#id, method, params, sessionId })}\0`);
    });
  }

  /** A tab in a window of its own, with storage of its own. */
  async open() {
    const { browserContextId } = await this.send('Target.createBrowserContext');
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId, newWindow: true, width: 1280, height: 860 });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    return new Page((method, params) => this.send(method, params, sessionId));
  }

  async close() {
    await this.send('Browser.close').catch(() => null);
    await this.ended;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Page {
  constructor(send) {
    this.send = send;
  }

  /** Calls a function in the page; its arguments and what it returns go as JSON. */
  async call(work, ...args) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression: `(${work})(...${JSON.stringify(args)})`, awaitPromise: true, returnByValue: true,
    });
    if (exceptionDetails) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value;
  }

  /** Signs in without the form: src/lib/session.ts goes on with the refresh token that an earlier page left behind. */
  async signIn(url, username, password) {
    await this.go(`${url}/icon.svg`);
    await this.call(async (body) => {
      const answer = await fetch('/api/v1/auth/login', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
      if (!answer.ok) {
        throw new Error(`sign in: ${answer.status} ${await answer.text()}`);
      }
      localStorage.setItem('taskforge.refresh', (await answer.json()).refresh_token);
    }, { username, password });
  }

  /** What runs in every document before its own scripts. */
  before(work, ...args) {
    return this.send('Page.enable').then(() => this.send('Page.addScriptToEvaluateOnNewDocument', { source: `(${work})(...${JSON.stringify(args)})` }));
  }

  async go(url) {
    const { errorText } = await this.send('Page.navigate', { url });
    if (errorText) {
      throw new Error(`${url}: ${errorText}`);
    }
  }

  /** Until the function, called in the page, says true. */
  async until(work, what) {
    const end = Date.now() + 60_000;
    while (!(await this.call(work).catch(() => false))) {
      if (Date.now() > end) {
        throw new Error(`not within a minute: ${what}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
