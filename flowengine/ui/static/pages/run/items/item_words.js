// An item of a map in words, and the numbers of a map. Pure.
import { at, duration, number } from "../../../app/format.js";
import { errorWords } from "../words/node_words.js";

/**
 * @typedef {import("./items_reader.js").Item} Item
 * @typedef {{total: number, pending: number, running: number, completed: number, failed: number, cancelled: number}} MapCounts
 */

/**
 * What a list of items is narrowed by, what needs a person first. `waiting` ones count among those that run.
 * @type {{status: string, asks: string[]}[]}
 */
export const FILTERS = [
  { status: "failed", asks: ["failed"] }, { status: "running", asks: ["running", "waiting"] }, { status: "pending", asks: ["pending"] },
  { status: "cancelled", asks: ["cancelled"] }, { status: "completed", asks: ["completed"] },
];

/** @param {MapCounts} counts How far a map is: "173 of 240 · 2 failed". What was cancelled did not come to an end. */
export function mapLine(counts) {
  const ended = counts.completed + counts.failed;
  return `${number(ended)} of ${number(counts.total)}${counts.failed ? ` · ${number(counts.failed)} failed` : ""}`;
}

/** @param {MapCounts} counts @param {string} status How many items a list of this status has; "" for all. */
export const countOf = (counts, status) => (status ? /** @type {any} */ (counts)[status] ?? 0 : counts.total);

/** @param {Item} item The one thing to know of it, behind its key. */
export function itemLine(item) {
  if (item.status === "failed") return `${errorWords(item.error)}: ${item.error?.message ?? ""}`;
  if (item.status === "waiting") return `tried again, after ${errorWords(item.error)}`;
  const took = at(item.finished_at) - at(item.started_at);
  return item.status === "completed" && Number.isFinite(took) ? duration(Math.max(1, took)) : "";
}
