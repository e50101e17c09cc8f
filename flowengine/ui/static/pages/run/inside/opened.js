// Which groups of a run are opened in place, the outermost first: the address says it (`?open=order&open=label`).
import { computed } from "../../../vendor/preact.js";
import { query, setQuery } from "../../../app/router.js";

/** The ids of the groups that are opened, each in the one before it. */
export const opened = computed(() => query.value.getAll("open"));

/** @param {{handler: string, child?: string, map?: object}} node Whether it has one inside to be opened: a group for each item has many. */
export const hasInside = (node) => Boolean(node.child) || (node.handler === "group" && !node.map);

/**
 * Open a group, beside nothing else of its level.
 * @param {string} id
 * @param {number} depth how many groups are around it
 * @param {string} [node] of it, to be selected
 */
export function openGroup(id, depth, node) {
  setQuery({ open: [...opened.peek().slice(0, depth), id], node: node ?? null, group: null }, { replace: false });
}

/** @param {number} depth Close all but so many of the outermost; the group that was open is selected. */
export function closeTo(depth) {
  const before = opened.peek();
  setQuery({ open: before.slice(0, depth), node: before[depth] ?? null, group: null });
}
