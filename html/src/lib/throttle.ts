/** Calls work at once, then at most once in so many milliseconds; the last call is never lost. */
export function throttle(ms: number, work: () => void): () => void {
  let last = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  return () => {
    const wait = last + ms - Date.now();
    if (wait <= 0) {
      last = Date.now();
      work();
    } else {
      timer ??= setTimeout(() => {
        timer = undefined;
        last = Date.now();
        work();
      }, wait);
    }
  };
}
