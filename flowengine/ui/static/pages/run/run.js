// One run.
import { html } from "../../vendor/preact.js";

/** @param {{id: string}} props */
export function Run({ id }) {
  return html`<div class="page"><div class="head"><h1>${id}</h1></div></div>`;
}
