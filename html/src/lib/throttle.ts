/** Calls work at once, then at most once in so many milliseconds; the last call is never lost. */
export function throttle(ms: number, work: () => void): () => void {
  let last = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  return () => {
    const wait = last + ms - performance.now();
    if (wait <= 0) {
      last = performance.now();
      work();
    } else {
      timer ??= setTimeout(() => {
        timer = undefined;
        last = performance.now();
        work();
      }, wait);
    }
  };
}

const WITHOUT_FRAMES_MS = 1000;

/**
 * Calls work with a frame of the screen: with the next one when it was quiet, else with the first one so many milliseconds
 * after the last call. A hidden tab has no frames: there work is called within a second.
 */
export function withFrames(ms: number, work: () => void): () => void {
  let last = -Infinity;
  let asked = false;
  let frame = 0;
  let paced: ReturnType<typeof setTimeout> | undefined;
  let late: ReturnType<typeof setTimeout> | undefined;
  const call = () => {
    cancelAnimationFrame(frame);
    clearTimeout(paced);
    clearTimeout(late);
    asked = false;
    last = performance.now();
    work();
  };
  const request = () => {
    frame = requestAnimationFrame(call);
  };
  return () => {
    if (asked) {
      return;
    }
    asked = true;
    late = setTimeout(call, WITHOUT_FRAMES_MS);
    const wait = last + ms - performance.now();
    if (wait > 0) {
      paced = setTimeout(request, wait);
    } else {
      request();
    }
  };
}
