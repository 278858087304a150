// JSON whose whole numbers keep their digits: what a double cannot hold, 12345678901234567890, stays as it is written, and
// is written so again by JSON.stringify. A browser without JSON.rawJSON rounds it.
interface Exact {
  rawJSON?: (text: string) => object;
  isRawJSON?: (value: unknown) => boolean;
}

const exact = JSON as unknown as Exact;

/** context: not given by a browser that cannot do it. */
function keep(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source;
  return typeof value === 'number' && !Number.isSafeInteger(value) && source && /^-?\d+$/.test(source) ? (exact.rawJSON?.(source) ?? value) : value;
}

export const parseJson = (text: string): unknown => JSON.parse(text, keep) as unknown;

/** Whether it is a number that was kept as it is written. */
export const isKept = (value: unknown): boolean => exact.isRawJSON?.(value) ?? false;
