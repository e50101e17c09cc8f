// Which runs are selected: some of those that were shown, or all that the filter finds.
import { signal } from "../../../vendor/preact.js";

/** @typedef {import("../runs_store.js").Row} Row */

/** The most that one request may name. */
export const MOST_CHOSEN = 1000;

/** The selected runs by id, as they were when they were selected. */
export const chosen = signal(/** @type {Map<string, Row>} */ (new Map()));

/** Whether all that match are meant, shown or not. */
export const allThatMatch = signal(false);

let lastId = "";

/**
 * @param {Row} run Select it, or no longer.
 * @param {boolean} on
 * @param {Row[]} [shown] the list, to take all from the last one that was selected (Shift)
 */
export function choose(run, on, shown = []) {
  const next = new Map(chosen.value);
  const ends = [lastId, run.execution_id].map((id) => shown.findIndex((each) => each.execution_id === id));
  const between = ends.includes(-1) ? [run] : shown.slice(Math.min(...ends), Math.max(...ends) + 1);
  for (const each of between) {
    if (!on) next.delete(each.execution_id);
    else if (next.size < MOST_CHOSEN) next.set(each.execution_id, each);
  }
  lastId = run.execution_id;
  allThatMatch.value = false;
  chosen.value = next;
}

/** @param {Row[]} runs Select these and no others. */
export function chooseShown(runs) {
  allThatMatch.value = false;
  chosen.value = new Map(runs.map((run) => [run.execution_id, run]));
}

export function chooseNone() {
  lastId = "";
  allThatMatch.value = false;
  if (chosen.value.size) chosen.value = new Map();
}
