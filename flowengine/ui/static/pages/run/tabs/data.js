// The inputs, the outputs and the document of a run.
import { html } from "../../../vendor/preact.js";

/** @param {{store: import("../run_store.js").RunStore}} props */
export function Data(props) {
  return html`<div class="page"></div>`;
}
