// Everything of one node.
import { html } from "../../../vendor/preact.js";

/** @param {{store: import("../run_store.js").RunStore, node: string, onClose: () => void}} props */
export function NodeDrawer(props) {
  return html`<div class="page"></div>`;
}
