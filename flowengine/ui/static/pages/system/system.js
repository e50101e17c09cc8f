// System.
import { html } from "../../vendor/preact.js";

export function System() {
  return html`<div class="page"><div class="head"><h1>System</h1></div></div>`;
}
