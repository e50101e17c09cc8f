// The order of the nodes in their table. Pure.
import { at } from "../../../../app/format.js";
import { isConsequence } from "../../node_changes.js";
import { causeOf, queuedFor, ranFor } from "../../words/node_words.js";

/**
 * @typedef {import("../../run_store.js").Node} Node
 * @typedef {{by: string, down: boolean}} NodeOrder
 */

export const COLUMNS = [
  { key: "status", name: "Status", look: "c-status" }, { key: "id", name: "Node", look: "c-node" }, { key: "handler", name: "Handler", look: "c-handler" },
  { key: "attempt", name: "Try", look: "num" }, { key: "started", name: "Started (UTC)", look: "c-time" }, { key: "queued", name: "Queued", look: "num" },
  { key: "ran", name: "Ran", look: "num" }, { key: "after", name: "Depends on", look: "c-after" }, { key: "cause", name: "Cause", look: "c-cause" },
];

/** @param {Node} node When it started, or began to wait for a worker; null of one that did neither. */
export const beganAt = (node) => node.started_at ?? node.queued_at ?? null;

/** What needs a person first, what went well last. */
const LOUDNESS = ["failed", "waiting", "running", "queued", "paused", "cancelled", "pending", "skipped", "completed"];

/** @param {Node} node */
function loudness(node) {
  if (isConsequence(node)) return 0.5;
  return LOUDNESS.indexOf(node.status);
}

/**
 * @param {Node[]} nodes in the document's order, which stays where the column says nothing
 * @param {NodeOrder} order
 * @param {number} now
 */
export function sortedNodes(nodes, { by, down }, now) {
  const key = /** @type {Record<string, (node: Node) => number | string>} */ ({
    status: loudness,
    id: (node) => node.id,
    handler: (node) => node.handler,
    attempt: (node) => -node.attempt,
    started: (node) => at(beganAt(node)),
    queued: (node) => -queuedFor(node),
    ran: (node) => -ranFor(node, now),
    after: (node) => node.dependencies.join(),
    cause: (node) => causeOf(node, now) || "\uffff",
  })[by];
  const keyed = nodes.map((node) => ({ node, key: key(node) }));
  const sign = down ? -1 : 1;
  keyed.sort((one, other) => sign * compared(one.key, other.key));
  return keyed.map(({ node }) => node);
}

/**
 * What has no figure comes last.
 * @param {number | string} one
 * @param {number | string} other
 */
function compared(one, other) {
  if (typeof one === "string" && typeof other === "string") return one < other ? -1 : one > other ? 1 : 0;
  const [left, right] = [Number.isNaN(one) ? Infinity : Number(one), Number.isNaN(other) ? Infinity : Number(other)];
  return left === right ? 0 : left - right;
}
