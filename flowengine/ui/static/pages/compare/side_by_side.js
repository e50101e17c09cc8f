// Two values beside each other, as text; one that is not there says so.
import { html } from "../../vendor/preact.js";
import { Value } from "../../parts/values/value.js";

/** @param {{left: any, right: any, name: string}} props `undefined`: it is not there */
export function SideBySide({ left, right, name }) {
  const side = (/** @type {any} */ value, /** @type {string} */ which) => html`<div><p class="small faint">${which}</p>${value === undefined ? html`<p class="quiet">Not there.</p>`
    : html`<${Value} value=${value} name=${`${name} ${which.toLowerCase()}`} />`}</div>`;
  return html`<div class="sides">${side(left, "Left")}${side(right, "Right")}</div>`;
}
