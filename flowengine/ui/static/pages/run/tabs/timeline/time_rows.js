// The rows of the timeline: which nodes, in which order, and what is written beside their bars. Pure.
import { duration } from "../../../../app/format.js";
import { isConsequence } from "../../node_changes.js";
import { spansOfState } from "../../history/attempt_log.js";
import { causeOf, errorWords, listed, progressWords, skippedWords } from "../../words/node_words.js";

/**
 * @typedef {import("../../run_store.js").Node} Node
 * @typedef {import("../../history/attempt_log.js").Span} Span
 * @typedef {"start" | "length" | "graph"} RowOrder
 * @typedef {{node: Node, spans: Span[], begin: number, length: number, note: string}} TimeRow
 */

/**
 * @param {Node[]} nodes in the document's order
 * @param {import("../../history/attempt_log.js").AttemptLog} log
 * @param {number} now ms
 * @param {RowOrder} order
 * @returns {TimeRow[]}
 */
export function timeRows(nodes, log, now, order) {
  const rows = nodes.map((node) => {
    const spans = log.nodes.get(node.id) ?? spansOfState(node);
    const length = spans.reduce((sum, each) => sum + (each.kind === "run" ? (each.to ?? now) - each.from : 0), 0);
    return { node, spans, begin: spans[0]?.from ?? Infinity, length, note: noteOf(node, spans, now, log.runs.at(-1)?.at ?? 0) };
  });
  if (order === "start") rows.sort((one, other) => (one.begin === other.begin ? 0 : one.begin - other.begin));
  if (order === "length") rows.sort((one, other) => other.length - one.length);
  return rows;
}

/** @param {TimeRow[]} rows When something ran. @param {number} now @returns {[number, number][]} */
export function busyTimes(rows, now) {
  return rows.flatMap(({ spans }) => spans.filter(({ kind }) => kind === "run" || kind === "moment")
    .map((each) => /** @type {[number, number]} */ ([each.from, each.to ?? now])));
}

/**
 * What is written beside the bars of a node.
 * @param {Node} node
 * @param {Span[]} spans
 * @param {number} now
 * @param {number} begin of the newest run: what was tried in it counts, where the node has been in it
 */
function noteOf(node, spans, now, begin) {
  const ran = spans.filter(({ kind }) => kind === "run");
  const newest = ran.filter(({ from }) => from >= begin);
  const tries = new Set((newest.length ? newest : ran).map(({ attempt }) => attempt)).size;
  const last = spans.at(-1);
  const took = last?.kind === "run" ? (last.to ?? now) - last.from : 0;
  const several = tries > 1 ? `${tries} tries` : "";
  switch (node.status) {
    case "completed": return several || duration(took);
    case "failed": return isConsequence(node) ? `not run: ${causeOf(node, now)}`
      : [several, errorWords(node.error)].filter(Boolean).join(", ");
    case "skipped": return `skipped: ${skippedWords(node.skipped)}`;
    case "running": return node.progress ? progressWords(node.progress) : [duration(took), several && `try ${node.attempt}`].filter(Boolean).join(", ");
    case "queued": return `in queue for ${duration(now - (last?.from ?? now))}`;
    case "waiting": return causeOf(node, now);
    case "cancelled": return "cancelled";
    default: return node.dependencies.length ? `waits for ${listed(node.dependencies, 2)}` : "";
  }
}

/**
 * The longest chain: from what ended last back over what each node had to wait for.
 * @param {TimeRow[]} rows
 * @param {number} now
 * @returns {Set<string>}
 */
export function longestChain(rows, now) {
  const ends = new Map(rows.filter(({ spans }) => spans.some(({ kind }) => kind === "run"))
    .map(({ node, spans }) => [node.id, { node, end: spans.at(-1)?.to ?? now }]));
  const last = (/** @type {string[]} */ ids) => ids.filter((id) => ends.has(id))
    .reduce((/** @type {string | null} */ best, id) => (best === null || (ends.get(id)?.end ?? 0) > (ends.get(best)?.end ?? 0) ? id : best), null);
  const chain = /** @type {Set<string>} */ (new Set());
  let at = last([...ends.keys()]);
  while (at !== null && !chain.has(at)) {
    chain.add(at);
    at = last(ends.get(at)?.node.dependencies ?? []);
  }
  return chain;
}

/**
 * What a screen reader says of a row.
 * @param {TimeRow} row
 * @param {string} status
 */
export const nameOf = (row, status) => [row.node.id, status, row.note].filter(Boolean).join(", ");
