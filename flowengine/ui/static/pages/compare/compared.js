// What differs between two runs. Pure: their answers in, rows out.
import { at } from "../../app/format.js";

/**
 * @typedef {import("../run/run_store.js").Node} Node
 * @typedef {object} NodeRow
 * @property {string} id
 * @property {Node | null} left null: that run has no such node
 * @property {Node | null} right
 * @property {"only" | "ended" | "failed" | "result" | "same" | ""} how it differs; "" where results are not known yet
 *
 * @typedef {{name: string, left: any, right: any}} ValueRow `undefined`: it is not there
 */

/** How loud a difference is: rows come in this order. */
const ORDER = ["ended", "failed", "only", "result", "", "same"];

/**
 * The nodes of both runs, what differs most first, else in the order of the left one's document.
 * @param {any} left as `GET /workflows/{id}` tells
 * @param {any} right
 * @param {any} [leftResults] as `GET /workflows/{id}/results` tells
 * @param {any} [rightResults]
 * @returns {NodeRow[]}
 */
export function nodeRows(left, right, leftResults, rightResults) {
  const [ours, theirs] = [byId(left), byId(right)];
  const ids = [...ours.keys(), ...[...theirs.keys()].filter((id) => !ours.has(id))];
  const known = leftResults !== undefined && rightResults !== undefined;
  const rows = ids.map((id) => {
    const pair = { left: ours.get(id) ?? null, right: theirs.get(id) ?? null };
    return { id, ...pair, how: howOf(pair, known ? outputOf(leftResults, id) === outputOf(rightResults, id) : null) };
  });
  return rows.map((row, index) => ({ row, index })).sort((one, other) => ORDER.indexOf(one.row.how) - ORDER.indexOf(other.row.how) || one.index - other.index)
    .map(({ row }) => row);
}

/**
 * @param {{left: Node | null, right: Node | null}} pair
 * @param {boolean | null} isEqual whether both gave the same; null: not known yet
 * @returns {NodeRow["how"]}
 */
function howOf({ left, right }, isEqual) {
  if (!left || !right) return "only";
  if (left.status !== right.status) return "ended";
  if (left.error?.code !== right.error?.code || left.error?.message !== right.error?.message) return "failed";
  return isEqual === null ? "" : isEqual ? "same" : "result";
}

/**
 * The values of two objects, those alone that differ unless `all`.
 * @param {Record<string, any> | null | undefined} left
 * @param {Record<string, any> | null | undefined} right
 * @returns {ValueRow[]}
 */
export function valueRows(left, right) {
  const names = [...new Set([...Object.keys(left ?? {}), ...Object.keys(right ?? {})])];
  const own = (/** @type {any} */ values, /** @type {string} */ name) => (values && Object.hasOwn(values, name) ? values[name] : undefined);
  return names.map((name) => ({ name, left: own(left, name), right: own(right, name) })).filter((row) => plain(row.left) !== plain(row.right));
}

/** @param {Node | null} node How long it took, in ms; NaN where that is not known. */
export const tookOf = (node) => (node?.started_at && node.finished_at ? Math.max(0, at(node.finished_at) - at(node.started_at)) : NaN);

/** @param {any} run @returns {Map<string, Node>} */
const byId = (run) => new Map([...run.nodes, ...(run.hooks ?? [])].map((node) => [node.id, node]));

/** @param {any} results @param {string} id What a node gave, as one text for equal values. */
function outputOf(results, id) {
  for (const part of [results.results, results.hooks?.results ?? {}]) if (Object.hasOwn(part, id)) return plain(part[id]);
  return "";
}

/** @param {any} value JSON, in which the order of fields says nothing. @returns {string} */
function plain(value) {
  if (value === undefined) return "";
  return JSON.stringify(value, (_, part) => (part && typeof part === "object" && !Array.isArray(part)
    ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1))) : part));
}
