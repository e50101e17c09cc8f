// What a card says of its node, or of the nodes of its stack: how it looks, and the one thing to know now.
import { at, cutToFit, duration } from "../../../app/format.js";
import { wordOf } from "../../../parts/status.js";
import { shortMapLine } from "../items/map_counts.js";
import { isConsequence } from "../node_changes.js";

/**
 * @typedef {import("../run_store.js").Node} Node
 * @typedef {object} Said
 * @property {string} look the status that colours it
 * @property {string} icon
 * @property {boolean} after it did not run, because another failed
 * @property {boolean} tolerated
 * @property {string} line below the id
 * @property {string} name what is read aloud
 * @property {boolean} ticks whether it changes with the time
 * @property {Record<string, number>} [counts] of a stack, or of the items of a map
 */

const LINE_CHARS = 24;
const ORDER = ["running", "waiting", "queued", "pending"];
/** @type {Record<string, string>} What is awaited, where that is no other try. */
const WAITS = { turn: "its turn", later: "called again", signal: "a signal", approval: "a decision", callback: "a callback" };
/** @type {Record<string, string>} */
const SKIPPED = {
  when: "when: false", trigger_rule: "trigger rule not met", ended_early: "ended early", operator: "skipped by hand",
};

/**
 * @param {Node} node
 * @param {number} now by the API's clock
 * @param {(id: string) => Node | undefined} find
 * @returns {Said}
 */
export function saidOf(node, now, find) {
  const after = isConsequence(node);
  const line = lineOf(node, now, find);
  const word = after ? "not run" : wordOf(node.status).toLowerCase();
  const attempt = node.attempt > 1 ? `, try ${node.attempt}` : "";
  const ticks = node.status === "running" || node.status === "waiting";
  return {
    look: node.status,
    icon: after ? "failed-after" : node.status,
    after,
    tolerated: Boolean(node.tolerated),
    line,
    name: `${node.id}, ${word}${attempt}${ticks ? "" : `, ${line}`}`,
    ticks,
    counts: node.map,
  };
}

/**
 * @param {Node[]} nodes of a stack
 * @returns {Said}
 */
export function saidOfStack(nodes) {
  /** @type {Record<string, number>} */
  const counts = { total: nodes.length };
  for (const { status } of nodes) counts[status] = (counts[status] ?? 0) + 1;
  const failed = nodes.filter((node) => node.status === "failed");
  const after = failed.length > 0 && failed.every(isConsequence);
  const ended = (counts.completed ?? 0) + (counts.failed ?? 0) + (counts.skipped ?? 0) + (counts.cancelled ?? 0);
  const left = ORDER.find((status) => counts[status]) ?? "";
  const is = failed.length && !after ? "failed" : left && (left !== "pending" || !ended) ? left
    : left ? "running" : ["failed", "cancelled", "completed"].find((status) => counts[status]) ?? "skipped";
  const line = `${ended} of ${nodes.length}${failed.length ? ` · ${failed.length} ${after ? "not run" : "failed"}` : ""}`;
  return {
    look: is, icon: is === "failed" && after ? "failed-after" : is, after, tolerated: failed.every((node) => node.tolerated),
    line, name: `${nodes[0].id} and ${nodes.length - 1} like it, ${wordOf(is).toLowerCase()}, ${line}`, ticks: false, counts,
  };
}

/**
 * @param {Node} node
 * @param {number} now
 * @param {(id: string) => Node | undefined} find
 */
function lineOf(node, now, find) {
  const { status, attempt } = node;
  if (node.map && (status !== "failed" || node.map.failed)) return shortMapLine(node.map, LINE_CHARS);
  if (status === "failed") return failedLine(node);
  if (status === "skipped") return skippedLine(node, find);
  if (status === "pending") return cutToFit(node.handler, LINE_CHARS);
  if (status === "running" && node.progress) return progressLine(node.progress);
  let more = status;
  if (status === "waiting" && node.waiting_for?.kind === "repeat") more = `iteration ${(node.iteration ?? 0) + 1} in ${duration(at(node.waiting_for.until) - now)}`;
  else if (node.iteration && (status === "running" || status === "queued")) more = `${status}, iteration ${node.iteration}`;
  else if (node.iteration && status === "completed") more = `${node.iteration} iterations`;
  else if (status === "waiting" && node.waiting_for?.kind === "wait" && node.waiting_for.until) more = `${duration(at(node.waiting_for.until) - now)} left`;
  else if (status === "waiting" && node.waiting_for && node.waiting_for.kind in WAITS) more = WAITS[node.waiting_for.kind];
  else if (status === "waiting" && node.waiting_for?.until) more = `try ${attempt + 1} in ${duration(at(node.waiting_for.until) - now)}`;
  else if (status === "queued" && attempt > 1) more = `queued, try ${attempt}`;
  else if (status === "running") more = `${attempt > 1 ? `try ${attempt}, ` : ""}${duration(now - at(node.started_at))}`;
  else if (status === "completed" && node.cached) more = "from the cache";
  else if (status === "completed" && attempt > 1) more = `${attempt} tries`;
  else if (status === "completed") more = duration(Math.max(1, at(node.finished_at) - at(node.started_at ?? node.finished_at)));
  return `${cutToFit(node.handler, Math.max(8, LINE_CHARS - more.length - 3))} · ${more}`;
}

/** @param {Node} node */
function failedLine(node) {
  const { error } = node;
  if (isConsequence(node) && !error?.caused_by) return "not run";
  if (isConsequence(node) && error?.caused_by) return `after ${cutToFit(error.caused_by, LINE_CHARS - 6)}`;
  const tries = node.tolerated ? " · tolerated" : node.attempt > 1 ? ` · ${node.attempt} tries` : "";
  const what = error?.status_code ? `http ${error.status_code}` : error?.code ?? "failed";
  return `${cutToFit(what, LINE_CHARS - tries.length)}${tries}`;
}

/** @param {Node} node @param {(id: string) => Node | undefined} find */
function skippedLine(node, find) {
  if (node.hook && node.skipped === "trigger_rule" && !node.dependencies.length) return "not needed";
  if (node.skipped !== "upstream_skipped") return SKIPPED[node.skipped ?? ""] ?? "skipped";
  const cause = node.dependencies.find((id) => find(id)?.status === "skipped");
  return cause ? `${cutToFit(cause, LINE_CHARS - 8)} skipped` : "skipped";
}

/** @param {{done: number, total?: number, message?: string}} progress */
function progressLine({ done, total, message }) {
  return total ? `${done} of ${total}` : cutToFit(message || `${done} done`, LINE_CHARS);
}
