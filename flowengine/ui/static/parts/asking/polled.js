// Asks again every few seconds while the page is seen. What was told stays until there is something newer.
import { useEffect, useRef, useState } from "../../vendor/preact.js";
import { get } from "../../app/api.js";

const EVERY_MS = 5000;

/**
 * @template T
 * @typedef {{told: T | null, problem: any, again: () => void}} Polled
 */

/**
 * @template T
 * @param {string} path
 * @param {boolean} [wanted] false: nothing is asked
 * @returns {Polled<T>}
 */
export function usePolled(path, wanted = true) {
  const [state, setState] = useState({ path, told: /** @type {T | null} */ (null), problem: /** @type {any} */ (null) });
  const ask = useRef(() => {});
  useEffect(() => {
    if (!wanted) return undefined;
    let timer = 0;
    let running = new AbortController();
    const once = async () => {
      clearTimeout(timer);
      running.abort();
      const mine = running = new AbortController();
      try {
        const told = await get(path, { signal: mine.signal });
        if (!mine.signal.aborted) setState({ path, told, problem: null });
      } catch (problem) {
        if (mine.signal.aborted) return;
        setState((before) => ({ path, told: before.path === path ? before.told : null, problem }));
      }
      if (mine === running && !document.hidden) timer = setTimeout(once, EVERY_MS);
    };
    const seen = () => { if (document.hidden) clearTimeout(timer); else once(); };
    ask.current = once;
    document.addEventListener("visibilitychange", seen);
    once();
    return () => {
      clearTimeout(timer);
      running.abort();
      document.removeEventListener("visibilitychange", seen);
    };
  }, [path, wanted]);
  const isThis = state.path === path;
  return { told: isThis ? state.told : null, problem: isThis ? state.problem : null, again: () => ask.current() };
}
