// Times as <input type="datetime-local"> has them: of this place, without a zone.

/** "" for what is no time. */
export function toLocal(time: string | undefined): string {
  const at = new Date(time ?? '');
  if (Number.isNaN(at.getTime())) {
    return '';
  }
  const two = (n: number): string => String(n).padStart(2, '0');
  const seconds = at.getSeconds() ? `:${two(at.getSeconds())}` : '';
  return `${String(at.getFullYear()).padStart(4, '0')}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}${seconds}`;
}

/** undefined for what is no time. */
export function fromLocal(text: string): string | undefined {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}
