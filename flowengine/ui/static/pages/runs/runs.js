// Runs.
import { html } from "../../vendor/preact.js";

export function Runs() {
  return html`<div class="page"><div class="head"><h1>Runs</h1></div></div>`;
}
