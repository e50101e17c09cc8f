// New.
import { html } from "../../vendor/preact.js";

export function NewRun() {
  return html`<div class="page"><div class="head"><h1>New</h1></div></div>`;
}
