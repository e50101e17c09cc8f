// The timeline of a run.
import { html } from "../../../vendor/preact.js";

/** @param {{store: import("../run_store.js").RunStore}} props */
export function Timeline(props) {
  return html`<div class="page"></div>`;
}
