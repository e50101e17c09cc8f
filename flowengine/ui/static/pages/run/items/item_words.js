// An item of a map in words. Pure.
import { at, duration } from "../../../app/format.js";
import { waitPhrase } from "../../../parts/words/waiting_words.js";
import { errorWords } from "../words/node_words.js";

/** @typedef {import("./items_reader.js").Item} Item */

/**
 * What a list of items is narrowed by, what needs a person first. `waiting` ones count among those that run.
 * @type {{status: string, asks: string[]}[]}
 */
export const FILTERS = [
  { status: "failed", asks: ["failed"] }, { status: "running", asks: ["running", "waiting"] }, { status: "pending", asks: ["pending"] },
  { status: "cancelled", asks: ["cancelled"] }, { status: "completed", asks: ["completed"] },
];

/** @param {Item} item The one thing to know of it, behind its key. */
export function itemLine(item) {
  if (item.status === "failed") return `${errorWords(item.error)}: ${item.error?.message ?? ""}`;
  if (item.waiting_for) return waitPhrase(item.waiting_for.kind, at(item.waiting_for.until) - Date.now());
  if (item.status === "waiting") return `tried again, after ${errorWords(item.error)}`;
  const took = at(item.finished_at) - at(item.started_at);
  return item.status === "completed" && Number.isFinite(took) ? duration(Math.max(1, took)) : "";
}
