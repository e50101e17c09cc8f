// All definitions, page by page of the API, asked for again now and then.
import { useEffect, useRef, useState } from "../../vendor/preact.js";
import { get, withQuery } from "../../app/api.js";

const PAGE = 500;
const MOST = 10_000;
const EVERY_MS = 10_000;
const EVERY_IF_MANY_MS = 60_000;

/**
 * @typedef {{name: string, version: number, description: string | null, labels: Record<string, string>, nodes: number, applied_at: string,
 *   applied_by: string | null}} Summary
 * @returns {{items: Summary[] | null, problem: any, again: () => void}}
 */
export function useAllDefinitions() {
  const [state, setState] = useState({ items: /** @type {Summary[] | null} */ (null), problem: /** @type {any} */ (null) });
  const ask = useRef(() => {});
  useEffect(() => {
    let timer = 0;
    let running = new AbortController();
    const once = async () => {
      clearTimeout(timer);
      running.abort();
      const mine = running = new AbortController();
      let many = false;
      try {
        const items = await readAll(mine.signal);
        if (mine.signal.aborted) return;
        many = items.length > PAGE;
        setState({ items, problem: null });
      } catch (problem) {
        if (mine.signal.aborted) return;
        setState((before) => ({ ...before, problem }));
      }
      if (!document.hidden) timer = setTimeout(once, many ? EVERY_IF_MANY_MS : EVERY_MS);
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
  }, []);
  return { ...state, again: () => ask.current() };
}

/** @param {AbortSignal} signal @returns {Promise<Summary[]>} */
async function readAll(signal) {
  /** @type {Summary[]} */
  const items = [];
  let cursor = "";
  do {
    const page = await get(withQuery("/definitions", { limit: PAGE, cursor }), { signal });
    items.push(...page.items);
    cursor = page.next_cursor ?? "";
  } while (cursor && items.length < MOST);
  return items;
}
