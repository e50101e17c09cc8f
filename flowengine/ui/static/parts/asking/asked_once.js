// Asks once for what never changes.
import { useEffect, useState } from "../../vendor/preact.js";
import { get } from "../../app/api.js";

/**
 * @template T
 * @param {string} path stays the same as long as the component is shown
 * @returns {import("./polled.js").Polled<T>}
 */
export function useOnce(path) {
  const [state, setState] = useState({ told: /** @type {T | null} */ (null), problem: /** @type {any} */ (null) });
  const ask = () => {
    const stop = new AbortController();
    get(path, { signal: stop.signal }).then((told) => setState({ told, problem: null }),
      (problem) => { if (!stop.signal.aborted) setState({ told: null, problem }); });
    return () => stop.abort();
  };
  useEffect(ask, []);
  return { ...state, again: () => { ask(); } };
}
