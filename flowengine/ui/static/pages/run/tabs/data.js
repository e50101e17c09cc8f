// What went into a run and what came out of it: inputs, outputs, results, the document, callbacks, earlier runs.
import { html } from "../../../vendor/preact.js";
import { counted, number } from "../../../app/format.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { Value } from "../../../parts/values/value.js";
import { useAnswer } from "../history/asked.js";
import { Deliveries } from "./data/deliveries.js";
import { DocumentText } from "./data/document_text.js";
import { EarlierRuns } from "./data/earlier_runs.js";
import { Results } from "./data/results.js";
import { Section } from "./data/section.js";

/** @param {{store: import("../run_store.js").RunStore}} props */
export function Data({ store }) {
  const run = store.run.value;
  return html`<section class="tab" aria-label="Data"><div class="rows data" tabindex="0" role="region" aria-label="Data of this run">
    <${Section} name="Inputs" about=${run.inputs ? counted(Object.keys(run.inputs).length, "input") : "none"} isOpen=${Boolean(run.inputs)}>${() => run.inputs
      ? html`<${Value} value=${run.inputs} name="inputs" />` : html`<p class="quiet">This run was started without inputs.</p>`}</${Section}>
    <${Section} name="Outputs" about=${run.outputs ? counted(Object.keys(run.outputs).length, "output") : "none"} isOpen=${Boolean(run.outputs)}>${() => run.outputs
      ? html`<${Value} value=${run.outputs} name="outputs" />` : html`<p class="quiet">${noOutputs(run.status)}</p>`}</${Section}>
    <${Section} name="Results" about="of each node">${() => html`<${Results} store=${store} />`}</${Section}>
    <${Section} name="Document" about="as it was posted" isOpen>${() => html`<${Answer} path=${`${store.path}/document`} what="The document"
      show=${(/** @type {any} */ text) => html`<${DocumentText} text=${text} name=${run.name} />`} />`}</${Section}>
    <${Section} name="Callback deliveries" about="how the results were sent">${() => html`<${Answer} path=${`${store.path}/deliveries`} what="The deliveries"
      version=${run.status} show=${(/** @type {any} */ found) => html`<${Deliveries} deliveries=${found.items} />`} />`}</${Section}>
    <${Section} name="Runs" about=${run.run > 1 ? `this is run ${number(run.run)}` : "this is the first"}>${() => html`<${Answer} path=${`${store.path}/runs?limit=50`} what="The runs"
      version=${`${run.run} ${run.status}`} show=${(/** @type {any} */ found) => html`<${EarlierRuns} runs=${found.items} />`} />`}</${Section}>
    </div></section>`;
}

/** @param {{path: string, what: string, show: (value: any) => any, version?: any}} props */
function Answer({ path, what, show, version }) {
  const { value, problem, again } = useAnswer(path, true, version);
  return html`<${ProblemNote} problem=${problem} what=${what} again=${again} />${value !== undefined && show(value)}`;
}

/** @param {string} status */
function noOutputs(status) {
  if (status === "completed") return "This workflow gives no outputs: its document names none.";
  if (status === "failed" || status === "cancelled") return "A run gives outputs only if it completes.";
  return "Outputs are there once the run has completed.";
}
