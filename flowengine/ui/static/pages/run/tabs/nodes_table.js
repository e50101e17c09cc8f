// The nodes of a run as a table.
import { html } from "../../../vendor/preact.js";

/** @param {{store: import("../run_store.js").RunStore}} props */
export function NodesTable(props) {
  return html`<div class="page"></div>`;
}
