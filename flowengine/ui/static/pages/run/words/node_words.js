// A node in words: its icon, why it is as it is, what it waits for.
import { at, duration } from "../../../app/format.js";
import { mapLine } from "../items/map_counts.js";
import { isConsequence } from "../node_changes.js";
import { lookOf, wordOf } from "../../../parts/status.js";
import { waitPhrase } from "../../../parts/words/waiting_words.js";

/** @typedef {import("../run_store.js").Node} Node */

/** @type {Record<string, string>} */
const SKIPPED = {
  when: "when was false", upstream_skipped: "what it depends on was skipped", trigger_rule: "its trigger rule did not hold",
  ended_early: "the run had ended by an end", operator: "an operator said so",
};

/** @param {string | undefined} reason Why a node does not run. */
export const skippedWords = (reason) => SKIPPED[reason ?? ""] ?? reason ?? "";

/** @param {Node} node The icon: that of what failed because of another is hollow. */
export const iconOf = (node) => (isConsequence(node) ? "failed-after" : lookOf(node.status));

/** @param {Node} node */
export function statusWords(node) {
  if (isConsequence(node)) return "Not run";
  return node.tolerated ? "Failed, tolerated" : wordOf(node.status);
}

/** @param {{code: string, status_code?: number} | null | undefined} error In two words: "http 503". */
export function errorWords(error) {
  if (!error) return "";
  return error.status_code ? `http ${error.status_code}` : String(error.code).replaceAll("_", " ");
}

/** @param {Node} node Which try or iteration its newest one is: ", try 2", ", iteration 14"; "" where that says nothing. */
export function tryWords(node) {
  if (node.iteration) return `, iteration ${node.iteration}`;
  return node.attempt > 1 ? `, try ${node.attempt}` : "";
}

/**
 * Why a node is as it is, in one line; "" where there is nothing to say.
 * @param {Node} node
 * @param {number} now ms
 */
export function causeOf(node, now) {
  if (isConsequence(node)) return node.error?.caused_by ? `${node.error.caused_by} failed` : "what it depends on failed";
  if (node.status === "failed" && node.error) return `${errorWords(node.error)}: ${node.error.message}`;
  if (node.status === "skipped") return skippedWords(node.skipped);
  if (node.status === "waiting") return waitWords(node, now);
  if (node.map && (node.status === "running" || node.map.failed)) return `items: ${mapLine(node.map)}`;
  if (node.status === "running" && node.progress) return progressWords(node.progress);
  return "";
}

/**
 * What a waiting node waits for.
 * @param {Node} node
 * @param {number} now ms
 */
export function waitWords(node, now) {
  const { kind, until, key } = node.waiting_for ?? {};
  if (kind === "turn") return `waits for its turn${key ? ` (limit ${key})` : ""}`;
  const left = at(until) - now;
  const when = !until ? "" : left > 0 ? ` in ${duration(left)}` : " now";
  if (!kind || kind === "retry") return node.error ? `next try${when}, after ${errorWords(node.error)}` : `next try${when}`;
  if (kind === "repeat") return `next iteration${when}`;
  return waitPhrase(kind, left);
}

/** @param {{done: number, total?: number, message?: string}} progress */
export function progressWords({ done, total, message }) {
  const figure = total === undefined ? `${done} done` : `${done} of ${total}`;
  return message ? `${figure}: ${message}` : figure;
}

/** @param {Node} node How long it lay in the queue, in ms; NaN where it did not. */
export const queuedFor = (node) => at(node.started_at ?? node.finished_at) - at(node.queued_at);

/**
 * @param {Node} node How long its last attempt ran, or has run, in ms.
 * @param {number} now ms
 */
export const ranFor = (node, now) => (node.finished_at ? at(node.finished_at) : node.status === "running" ? now : NaN) - at(node.started_at);

/**
 * The names of nodes, as a list that stays short: "load, check and 12 more".
 * @param {string[]} ids
 * @param {number} [most]
 */
export function listed(ids, most = 3) {
  if (ids.length <= 1) return ids[0] ?? "";
  const shown = ids.length > most + 1 ? ids.slice(0, most) : ids.slice(0, -1);
  const rest = ids.length - shown.length;
  return `${shown.join(", ")} and ${rest === 1 ? ids[ids.length - 1] : `${rest} more`}`;
}
