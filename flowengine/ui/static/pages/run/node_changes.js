// What an event says of a node. Pure.

/**
 * @typedef {object} NodeError
 * @property {string} code
 * @property {string} message
 * @property {string | null} caused_by
 * @property {number} [status_code]
 * @property {number} [attempts]
 *
 * @typedef {object} Node as `GET /workflows/{id}` gives it
 * @property {string} id
 * @property {string} handler
 * @property {string} status
 * @property {number} attempt
 * @property {string[]} dependencies
 * @property {string | null} queued_at
 * @property {string | null} started_at
 * @property {string | null} finished_at
 * @property {NodeError | null} error
 * @property {string} [skipped]
 * @property {boolean} [tolerated]
 * @property {any} [waiting_for]
 * @property {number} [iteration]
 * @property {string} [child] the execution that it runs as
 * @property {boolean} [cached] its result was given at another time: its handler was not called
 * @property {boolean} [hook] of `on_failure` or `finally`
 * @property {import("./items/map_counts.js").MapCounts} [map] how far its items are
 * @property {{done: number, total?: number, message?: string}} [progress] as the node last told
 */

const CLEAR = { started_at: null, finished_at: null, error: null, skipped: undefined, tolerated: undefined, waiting_for: undefined, progress: undefined, map: undefined, cached: undefined };

/**
 * What an event changes; null: nothing, it is older than what is known.
 * @param {any} event
 * @param {Node} node
 * @returns {Partial<Node> | null}
 */
export function changesBy(event, node) {
  const { kind, attempt, at } = event;
  if (kind === "node_started") return began(node, attempt, at);
  if (at < lastOf(node)) return null;
  switch (kind) {
    case "node_queued": return { ...CLEAR, status: "queued", attempt, queued_at: at, ...nextIteration(node) };
    case "node_opened": return { ...CLEAR, status: "running", attempt, child: event.child, queued_at: node.attempt === attempt ? node.queued_at ?? at : at, started_at: at, ...nextIteration(node) };
    case "node_completed": return { status: "completed", attempt, finished_at: at, error: null, waiting_for: undefined };
    case "node_failed": return { status: "failed", attempt, finished_at: at, waiting_for: undefined, error: errorOf(event, node) };
    case "node_skipped": return { status: "skipped", finished_at: at, skipped: event.reason };
    case "node_iterated": return { status: "waiting", attempt, iteration: event.iteration, error: null };
    case "node_in_line": return { ...CLEAR, status: "waiting" };
    case "node_waiting": return { status: "waiting", attempt };
    case "node_cancelled": return { status: "cancelled", finished_at: at, waiting_for: undefined };
    case "node_reset": return { ...CLEAR, status: "pending", attempt: 0, queued_at: null };
    default: return null;
  }
}

/** @param {Node} node One that waits without an error goes on with its next iteration. */
const nextIteration = (node) => (node.status === "waiting" && node.iteration && !node.error ? { iteration: node.iteration + 1 } : {});

/**
 * A worker tells of a start beside any transaction: it may come late, after the node's end.
 * @param {Node} node
 * @param {number} attempt
 * @param {string} at
 */
function began(node, attempt, at) {
  if (node.attempt !== attempt || at < (node.queued_at ?? "")) return null;
  if (node.status === "queued") return { status: "running", started_at: at };
  return node.started_at || node.status === "pending" ? null : { started_at: at };
}

/** @param {Node} node The newest moment that is known of a node; all are texts of one form, which sort as times. */
function lastOf(node) {
  return [node.queued_at, node.started_at, node.finished_at].map((each) => each ?? "").reduce((last, each) => (each > last ? each : last));
}

/** @param {any} event @param {Node} node */
function errorOf(event, node) {
  if (node.status === "failed" && node.error) return node.error;
  return { code: event.code, message: event.code, caused_by: null };
}

/** @param {Node} node Whether it did not run, because another failed. */
export const isConsequence = (node) => node.status === "failed" && node.error?.code === "upstream_failed";

/** @param {Node} one @param {Node} other Whether a snapshot says nothing new of a node. */
export function same(one, other) {
  return one.status === other.status && one.attempt === other.attempt && one.queued_at === other.queued_at
    && one.started_at === other.started_at && one.finished_at === other.finished_at && one.skipped === other.skipped
    && one.tolerated === other.tolerated && one.error?.code === other.error?.code && one.error?.message === other.error?.message
    && one.error?.caused_by === other.error?.caused_by && one.waiting_for?.until === other.waiting_for?.until
    && one.waiting_for?.kind === other.waiting_for?.kind && one.iteration === other.iteration && one.child === other.child && one.cached === other.cached
    && MAP_NUMBERS.every((name) => one.map?.[name] === other.map?.[name]);
}

/** @type {("total" | "pending" | "running" | "completed" | "failed")[]} */
const MAP_NUMBERS = ["total", "pending", "running", "completed", "failed"];
