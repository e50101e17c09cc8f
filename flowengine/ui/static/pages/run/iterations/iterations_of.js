// The iterations of a node that repeats, from what the events tell of it. Pure.

/**
 * @typedef {import("../history/run_events.js").RunEvent} RunEvent
 * @typedef {object} Iteration
 * @property {number} number
 * @property {string} status of a node: `completed` where another one follows
 * @property {string} begun when it was sent first
 * @property {string} ended "" as long as it runs
 * @property {number} tries
 * @property {number} attempt its last one
 * @property {string} child the execution as which it runs, of a group, or ""
 * @property {string} code of the failure of its last try, or ""
 */

/** @type {Record<string, string>} What ends an iteration, and the node with it. */
const ENDS = { node_completed: "completed", node_failed: "failed", node_cancelled: "cancelled" };

/**
 * @param {RunEvent[]} events of one node, in order
 * @returns {Iteration[]} those of its newest run, the first one first
 */
export function iterationsOf(events) {
  /** @type {Iteration[]} */
  let found = [];
  /** @type {Iteration | null} */
  let current = null;
  let number = 1;
  for (const event of events) {
    if (event.kind === "node_reset") {
      // What goes on after its last iteration counts on; what begins anew is told by the first that ends.
      current = null;
    } else if (event.kind === "node_queued" || event.kind === "node_opened") {
      if (!current) {
        current = { number, status: "running", begun: event.at, ended: "", tries: 0, attempt: 0, child: "", code: "" };
        found.push(current);
      }
      // What a worker is asked once the child of a group has completed belongs to the same try.
      if (event.attempt !== current.attempt) current.tries += 1;
      Object.assign(current, { status: "running", attempt: event.attempt, child: event.child ?? current.child });
    } else if (!current) {
      continue;
    } else if (event.kind === "node_waiting") {
      current.status = "waiting";
      current.code = event.code ?? "";
    } else if (event.kind === "node_iterated") {
      const ended = event.iteration ?? current.number;
      if (ended <= found.length - 1 && found[found.length - 2]?.number >= ended) found = [current];
      Object.assign(current, { number: ended, status: "completed", ended: event.at, code: "" });
      number = ended + 1;
      current = null;
    } else if (event.kind in ENDS) {
      Object.assign(current, { status: ENDS[event.kind], ended: event.at, code: event.code ?? "" });
      current = null;
    }
  }
  return found;
}
