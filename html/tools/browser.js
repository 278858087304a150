// Debian's Chromium, driven by playwright-core.
import { chromium } from 'playwright-core';

export const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** As root Chromium has no sandbox; what it opens here is our own. */
export const ARGUMENTS = [
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), '--disable-gpu', '--disable-dev-shm-usage', '--force-color-profile=srgb',
];

export const launch = () => chromium.launch({ executablePath: EXECUTABLE, args: ARGUMENTS });

export async function signIn(page, url, username, password) {
  await page.goto(url);
  await page.getByLabel('Username or e-mail address').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('navigation', { name: 'Pages' }).or(page.getByRole('button', { name: 'Menu' })).first().waitFor();
}

/** Calls the API as somebody; dies when it refuses. */
export async function client(url, username, password) {
  const call = async (method, path, body, token) => {
    const answer = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: { ...(body ? { 'Content-Type': 'application/json' } : {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) {
      throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    }
    return text ? JSON.parse(text) : null;
  };
  const { access_token } = await call('POST', '/auth/login', { username, password });
  return (method, path, body) => call(method, path, body, access_token);
}
