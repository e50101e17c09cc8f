// The nodes of two runs, beside each other: how each ended, how long it took, what it gave.
import { html, useEffect, useState } from "../../vendor/preact.js";
import { get } from "../../app/api.js";
import { duration, number } from "../../app/format.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { shownText } from "../../parts/shown_text.js";
import { Status } from "../../parts/status.js";
import { errorWords, iconOf, statusWords } from "../run/words/node_words.js";
import { tookOf } from "./compared.js";
import { SideBySide } from "./side_by_side.js";

const SHOWN = 100;
/** @type {Record<string, string>} */
const WORDS = { only: "in one run only", ended: "ended otherwise", failed: "failed otherwise", result: "gave another result", same: "the same", "": "" };

/** @typedef {import("./compared.js").NodeRow} NodeRow */

/** @param {{rows: NodeRow[], left: string, right: string}} props `left`, `right`: ids of the runs */
export function NodeRows({ rows, left, right }) {
  const [all, setAll] = useState(false);
  const [most, setMost] = useState(SHOWN);
  const other = rows.filter(({ how }) => how !== "same");
  const shown = all ? rows : other;
  return html`<section class="card" aria-label="Nodes"><header class="line"><h2 class="grow">Nodes</h2>
      <span class="quiet" role="status">${number(other.length)} of ${number(rows.length)} differ</span>
      <button class="b" type="button" aria-pressed=${all ? "true" : "false"} onClick=${() => setAll(!all)}>All nodes</button></header>
    ${shown.length ? html`<div class="scroll-x" tabindex="0" role="region" aria-label="Table of nodes"><table class="compared"><thead><tr><th scope="col">Node</th><th scope="col">Left</th>
        <th scope="col" class="num">Took</th><th scope="col">Right</th><th scope="col" class="num">Took</th><th scope="col">What differs</th></tr></thead>
      ${shown.slice(0, most).map((row) => html`<${Row} key=${row.id} row=${row} left=${left} right=${right} />`)}</table></div>` : html`<p class="body quiet">Each node ended in the same way and gave the same.</p>`}
    ${shown.length > most && html`<p class="foot"><button class="b" type="button" onClick=${() => setMost(most + SHOWN)}>Show ${number(Math.min(SHOWN, shown.length - most))} more</button></p>`}</section>`;
}

/** @param {{row: NodeRow, left: string, right: string}} props */
function Row({ row, left, right }) {
  const [open, setOpen] = useState(false);
  const took = (/** @type {number} */ ms) => (Number.isFinite(ms) ? duration(ms) : "–");
  return html`<tbody><tr><th scope="row" class="name"><button type="button" class="as-text link cut" aria-expanded=${open} title=${row.id} onClick=${() => setOpen(!open)}><bdi>${shownText(row.id)}</bdi></button></th>
      <td><${Outcome} node=${row.left} /></td><td class="num">${took(tookOf(row.left))}</td>
      <td><${Outcome} node=${row.right} /></td><td class="num">${took(tookOf(row.right))}</td><td class="quiet">${WORDS[row.how]}</td></tr>
    ${open && html`<tr><td colspan="6"><${Both} row=${row} left=${left} right=${right} /></td></tr>`}</tbody>`;
}

/** @param {{node: import("./compared.js").Node | null}} props */
function Outcome({ node }) {
  if (!node) return html`<span class="quiet">no such node</span>`;
  const code = node.status === "failed" && iconOf(node) !== "failed-after" ? `: ${errorWords(node.error)}` : "";
  return html`<${Status} status=${node.status} word=${`${statusWords(node)}${code}`} />`;
}

/**
 * What a node gave in both runs, or why it failed: asked for when it is opened.
 * @param {{row: NodeRow, left: string, right: string}} props
 */
function Both({ row, left, right }) {
  const [found, setFound] = useState(/** @type {{left: any, right: any} | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const ask = () => {
    setProblem(null);
    const of = async (/** @type {string} */ run, /** @type {boolean} */ has) => {
      if (!has) return undefined;
      const { status, error, result, config } = await get(`/workflows/${encodeURIComponent(run)}/nodes/${encodeURIComponent(row.id)}`);
      return { status, ...(error ? { error } : {}), result, config };
    };
    Promise.all([of(left, row.left !== null), of(right, row.right !== null)]).then(([one, other]) => setFound({ left: one, right: other }), setProblem);
  };
  useEffect(ask, []);
  return html`<${ProblemNote} problem=${problem} what="What it gave" again=${ask} />${found && html`<${SideBySide} left=${found.left} right=${found.right} name=${row.id} />`}`;
}
