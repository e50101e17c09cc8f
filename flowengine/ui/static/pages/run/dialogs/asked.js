// Which dialog of the run's page is open. The head and the drawer open them.
import { signal } from "../../../vendor/preact.js";

/**
 * @typedef {object} Asked
 * @property {"cancel" | "delete" | "rerun" | "runs" | "children" | "turn" | "compare" | "reruns"} what
 * @property {"failed" | "from" | "all"} [mode] of a rerun
 * @property {string[]} [from] the nodes that a rerun begins with
 * @property {{node: string, keys: string[]}} [items] those of a map that a rerun begins with
 */

export const asked = signal(/** @type {Asked | null} */ (null));

/** @param {Asked} what Open a dialog. */
export const ask = (what) => { asked.value = what; };

/** @param {string} node Ask to run a node, and all below it, again. */
export const askRerunFrom = (node) => ask({ what: "rerun", mode: "from", from: [node] });

/** @param {string} node @param {string[]} keys Ask to run these items of a map, and all below the map, again. */
export const askRerunItems = (node, keys) => ask({ what: "rerun", items: { node, keys } });

export const close = () => { asked.value = null; };
