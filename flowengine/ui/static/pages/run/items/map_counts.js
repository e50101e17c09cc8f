// The numbers of a map: how many items it has, and how far they are. Pure.
import { counted, number } from "../../../app/format.js";

/** @typedef {{total: number, pending: number, running: number, completed: number, failed: number, cancelled: number}} MapCounts */

/** @param {MapCounts} counts How far a map is: "173 of 240 · 2 failed". What was cancelled did not come to an end. */
export function mapLine(counts) {
  const ended = counts.completed + counts.failed;
  return `${number(ended)} of ${number(counts.total)}${counts.failed ? ` · ${number(counts.failed)} failed` : ""}`;
}

/**
 * @param {MapCounts} counts The same where there is no room for more
 * @param {number} most characters
 */
export function shortMapLine(counts, most) {
  const whole = mapLine(counts);
  return whole.length <= most ? whole : `${number(counts.failed)} failed of ${number(counts.total)}`;
}

/** @param {MapCounts} counts The same as a sentence: "173 of 240 items have ended, 2 of them failed." */
export function mapSentence(counts) {
  const ended = counts.completed + counts.failed;
  return `${number(ended)} of ${counted(counts.total, "item")} ${ended === 1 ? "has" : "have"} ended${counts.failed ? `, ${number(counts.failed)} of them failed` : ""}.`;
}

/** @param {MapCounts} counts @param {string} status How many items a list of this status has; "" for all. */
export const countOf = (counts, status) => (status ? /** @type {any} */ (counts)[status] ?? 0 : counts.total);
