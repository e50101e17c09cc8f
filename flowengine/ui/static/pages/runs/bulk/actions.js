// What can be done to many runs: to which of them by their status, and how it is said.
import { counted, number } from "../../../app/format.js";

/**
 * @typedef {object} Action
 * @property {string} action as the API calls it
 * @property {string} name of the button
 * @property {string} [verb] the name with a number of runs, if it is another
 * @property {string} does "cancelled": what then is true of the runs
 * @property {string[]} statuses of the runs that it can be done to
 * @property {string} not why it cannot be done to any other
 * @property {string} [then] what follows from it
 * @property {boolean} [danger]
 */

/** @type {Action[]} */
export const ACTIONS = [
  { action: "cancel", name: "Cancel", does: "cancelled", statuses: ["pending", "running", "paused"], not: "Possible until a run has ended",
    then: "What runs is stopped, and `finally` runs." },
  { action: "pause", name: "Pause", does: "paused", statuses: ["running"], not: "Possible while a run goes on",
    then: "What runs goes on to its end, and nothing new begins." },
  { action: "resume", name: "Resume", does: "resumed", statuses: ["paused"], not: "Possible once a run is paused" },
  { action: "rerun", name: "Rerun failed", verb: "Rerun", does: "rerun", statuses: ["failed", "cancelled"], not: "Possible once a run has failed or was cancelled" },
  { action: "delete", name: "Delete", does: "deleted", statuses: ["pending", "completed", "failed", "cancelled"], not: "Possible once a run has ended",
    then: "Their inputs, results, events and logs are gone for good.", danger: true },
];

/** @param {string} action */
export const actionCalled = (action) => /** @type {Action} */ (ACTIONS.find((each) => each.action === action));

/** @type {Record<string, string>} */
const LEFT = {
  not_found: "no longer there",
  stopping: "already being stopped",
  error: "could not be dealt with, see the API's log",
  too_many_executions: "over the limit of executions",
  store_full: "not stored: the store is full",
};

/**
 * @typedef {object} Bulk as `GET /workflows/bulk/{id}` gives it
 * @property {string} bulk_id
 * @property {string} action
 * @property {boolean} dry_run
 * @property {string} status
 * @property {number} seen
 * @property {number} done
 * @property {Record<string, number>} refused
 * @property {number} [nodes_reset]
 * @property {number} [results_reused]
 * @property {string} [stopped]
 */

/** @param {Bulk} bulk Which runs are left alone, and why; "" for none. */
export function leftAlone({ refused }) {
  const parts = Object.entries(refused).map(([why, count]) => `${number(count)} ${LEFT[why] ?? why}`);
  const all = Object.values(refused).reduce((sum, each) => sum + each, 0);
  return all ? `${counted(all, "run")} ${all === 1 ? "is" : "are"} left alone: ${parts.join(", ")}.` : "";
}

/** @param {Bulk} bulk What a rerun would begin again. */
export function resetBy({ nodes_reset: reset, results_reused: reused }) {
  if (reset === undefined) return "";
  return `${counted(reset, "node")} ${reset === 1 ? "runs" : "run"} again, ${counted(reused ?? 0, "result")} ${reused === 1 ? "is" : "are"} reused.`;
}
