// What waits for a person, and its address.
import { withQuery } from "../../app/api.js";
import { query } from "../../app/router.js";

/**
 * @typedef {object} Waiting
 * @property {string} execution_id
 * @property {string} name of the workflow
 * @property {number} run
 * @property {string} node
 * @property {number} attempt
 * @property {"approval" | "signal"} kind
 * @property {string} since
 * @property {string} until
 * @property {string} [prompt]
 * @property {string[]} [names] of the signals that it takes
 * @property {any} [schema]
 * @property {string} [root] of a child, the run at the top
 * @property {string} [item] the key of the item of a map that it runs for
 */

/** @param {Waiting} item Another try, or another run, is another question. */
export const keyOf = (item) => JSON.stringify([item.execution_id, item.run, item.node, item.attempt]);

/** @param {Waiting} item The address that shows it, in the list as it is narrowed now. */
export function askAddress(item) {
  const { kind, cursor } = Object.fromEntries(query.value);
  return withQuery("/ui/waiting", { kind, cursor, run: item.execution_id, node: item.node });
}

/** @param {string} kind */
export const kindAddress = (kind) => withQuery("/ui/waiting", { kind });

/** @param {string} execution @param {string} node */
export const nodePath = (execution, node) => `/workflows/${encodeURIComponent(execution)}/nodes/${encodeURIComponent(node)}`;
