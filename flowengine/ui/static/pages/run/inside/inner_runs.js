// The children that the opened groups of a run stand for, each watched as long as it is open.
import { useEffect, useRef } from "../../../vendor/preact.js";
import { runStore } from "../run_store.js";
import { opened } from "./opened.js";

/**
 * @typedef {import("../run_store.js").RunStore} RunStore
 * @typedef {{group: string, node: import("../run_store.js").Node | undefined, store: RunStore | null}} Inner `store`: null as long as the group
 *   has not begun, or is none
 */

/**
 * The opened groups of a run, the outermost first.
 * @param {RunStore} store of the run itself
 * @returns {Inner[]}
 */
export function useInnerRuns(store) {
  const kept = useRef(/** @type {Map<string, {store: RunStore, stop: () => void}>} */ (new Map()));
  /** @type {Inner[]} */
  const found = [];
  /** @type {RunStore | null} */
  let around = store;
  for (const group of opened.value) {
    if (!around || !around.order.value.includes(group)) break;
    const node = around.node(group);
    around = node?.child ? watched(kept.current, node.child) : null;
    found.push({ group, node, store: around });
  }
  const wanted = found.map((each) => each.store?.id ?? "").join(" ");
  useEffect(() => {
    const ids = new Set(wanted.split(" "));
    for (const [id, each] of kept.current) if (!ids.has(id)) drop(kept.current, id, each);
  }, [wanted]);
  useEffect(() => () => { for (const [id, each] of kept.current) drop(kept.current, id, each); }, [store]);
  return found;
}

/** @param {Map<string, {store: RunStore, stop: () => void}>} kept @param {string} id */
function watched(kept, id) {
  const known = kept.get(id);
  if (known) return known.store;
  const store = runStore(id);
  // What it learns is a change of signals, which no drawing may make.
  const entry = { store, stop: () => {} };
  kept.set(id, entry);
  queueMicrotask(() => { if (kept.get(id) === entry) entry.stop = store.start(); });
  return store;
}

/** @param {Map<string, {store: RunStore, stop: () => void}>} kept @param {string} id @param {{stop: () => void}} entry */
function drop(kept, id, entry) {
  kept.delete(id);
  entry.stop();
}
