// What the nodes of a run have logged.
import { html } from "../../../vendor/preact.js";

/** @param {{store: import("../run_store.js").RunStore}} props */
export function Logs(props) {
  return html`<div class="page"></div>`;
}
