// Asks at a pace: one call at a time, and none sooner than a pause after the last began.

/**
 * @param {() => Promise<void>} ask
 * @param {number} pauseMs
 */
export function paced(ask, pauseMs) {
  let begunAt = -Infinity;
  let timer = 0;
  let running = false;
  let wanted = false;

  function soon() {
    wanted = true;
    if (running || timer) return;
    timer = setTimeout(run, Math.max(0, begunAt + pauseMs - performance.now()));
  }

  async function run() {
    timer = 0;
    wanted = false;
    running = true;
    begunAt = performance.now();
    try { await ask(); } finally { running = false; }
    if (wanted) soon();
  }

  return {
    soon,
    /** The same was asked for otherwise. */
    began() { begunAt = performance.now(); },
    stop() {
      clearTimeout(timer);
      timer = 0;
      wanted = false;
    },
  };
}
