// The server's clock: events and jobs carry its times, and that of the browser's host may be wrong.
const PRECISE_MS = 1500;

let ahead = 0;

/** The Date of an answer, which has whole seconds. */
export function noteDate(header: string | null): void {
  const difference = Date.parse(header ?? '') + 500 - Date.now();
  if (Number.isFinite(difference)) {
    ahead = Math.abs(difference) < PRECISE_MS ? 0 : difference;
  }
}

export const serverNow = (): number => Date.now() + ahead;
