// What a question is about: the results that the node comes after, and the inputs of its run.
import { html, useEffect, useState } from "../../vendor/preact.js";
import { get } from "../../app/api.js";
import { cutMiddle } from "../../app/format.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { shownText } from "../../parts/shown_text.js";
import { Value } from "../../parts/values/value.js";
import { nodePath } from "./asks.js";

const MOST_NODES = 12;

/** @param {{item: import("./asks.js").Waiting, node: any}} props */
export function About({ item, node }) {
  const before = /** @type {string[]} */ (node?.dependencies ?? []);
  const run = `/workflows/${encodeURIComponent(item.execution_id)}`;
  return html`<section class="about"><h3>What it is about</h3>
    ${before.slice(0, MOST_NODES).map((id) => html`<${Looked} key=${id} isOpen=${before.length === 1} name=${id} about="result" path=${nodePath(item.execution_id, id)} pick=${resultOf} />`)}
    ${before.length > MOST_NODES && html`<p class="small quiet">${before.length - MOST_NODES} more results are on the run's page.</p>`}
    <${Looked} name="Inputs of the run" about="" path=${run} pick=${inputsOf} /></section>`;
}

/** @param {any} node */
const resultOf = (node) => (node.result === null && node.status !== "completed" ? `It is ${node.status}.` : node.result);

/** @param {any} run */
const inputsOf = (run) => run.inputs ?? {};

/** @param {{name: string, about: string, path: string, pick: (answer: any) => any, isOpen?: boolean}} props asked for once it is open */
function Looked({ name, about, path, pick, isOpen }) {
  const [open, setOpen] = useState(Boolean(isOpen));
  const [found, setFound] = useState(/** @type {{value?: any, problem?: any} | null} */ (null));
  const ask = () => get(path).then((answer) => setFound({ value: pick(answer) }), (problem) => setFound({ problem }));
  useEffect(() => { if (open && !found) ask(); }, [open]);
  return html`<details open=${open} onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}>
    <summary><bdi class="cut">${shownText(cutMiddle(name, 60))}</bdi> <i>${about}</i></summary>
    ${open && found && (found.problem ? html`<${ProblemNote} problem=${found.problem} what="The value" again=${ask} />`
      : html`<div class="inner"><${Value} value=${found.value} name=${name} /></div>`)}</details>`;
}
