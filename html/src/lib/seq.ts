// An event's place in the stream: three numbers, compared one after the other (docs/websocket.md).

/** Negative, zero or positive, as a is before, at or after b. */
export function compareSeq(a: string, b: string): number {
  const left = a.split('-').map(Number);
  const right = b.split('-').map(Number);
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  return 0;
}
