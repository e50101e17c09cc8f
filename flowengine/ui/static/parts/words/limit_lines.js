// The limits of how much runs at once, as `GET /limits` tells of them: whose they are, who holds a place, who waits.
import { html } from "../../vendor/preact.js";
import { cutMiddle, number } from "../../app/format.js";
import { runAddress } from "../../app/router.js";
import { ShortId } from "../short_text.js";
import { shownText } from "../shown_text.js";

/**
 * @typedef {{execution_id: string, run: number, node?: string}} Stander
 * @typedef {object} Limit
 * @property {"workflow" | "shared" | "node" | "nodes" | "node_rate" | "rate"} kind
 * @property {string} key
 * @property {string | null} workflow
 * @property {number} limit
 * @property {number} holding
 * @property {number} waiting
 * @property {Stander[]} holders the first of them
 * @property {Stander[]} waiters
 */

/** @type {Record<string, string>} What is counted by each kind of limit. */
const COUNTED = {
  workflow: "runs of this workflow", shared: "runs that say this key", node: "of this node", nodes: "nodes that say this key",
  node_rate: "starts of this node", rate: "starts of nodes that say this key",
};

/** @param {Limit} limit */
export const countedBy = (limit) => COUNTED[limit.kind] ?? limit.kind;

/** @param {Limit} limit Whether it is of nodes, not of whole runs. */
export const isOfNodes = (limit) => limit.kind !== "workflow" && limit.kind !== "shared";

/**
 * @param {Limit} limit
 * @param {string} execution
 * @param {string} [node] of it
 * @returns {number} the place among those that wait, from 1 on; 0: not among the first of them
 */
export const placeOf = (limit, execution, node) => limit.waiters.findIndex((each) => each.execution_id === execution && each.node === node) + 1;

/** @param {{all: Stander[], count: number}} props Links to some of those that hold or wait; `count`: how many there are in all */
export function Standers({ all, count }) {
  if (!count) return html`<span class="quiet">nobody</span>`;
  return html`<ul class="standers">${all.map((each, index) => html`<li key=${index}><a href=${runAddress(each.execution_id, each.node ? { node: each.node } : undefined)} title=${each.execution_id}>
      ${each.node ? html`<bdi>${shownText(cutMiddle(each.node, 32))}</bdi> <span class="faint">of</span> ` : ""}<${ShortId} id=${each.execution_id} /></a></li>`)}
    ${count > all.length && html`<li class="quiet">and ${number(count - all.length)} more</li>`}</ul>`;
}
