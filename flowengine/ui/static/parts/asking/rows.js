// A table of the system page: it scrolls by itself where it is wider than the page.
import { html } from "../../vendor/preact.js";
import { ProblemNote } from "../problem_note.js";

/**
 * @param {{name: string, polled: import("./polled.js").Polled<any>, heads: any[], children?: any, empty: any, count: number, foot?: any}} props
 */
export function Rows({ name, polled, heads, children, empty, count, foot }) {
  const { told, problem, again } = polled;
  return html`<section class="card" aria-label=${name}>
    ${problem && html`<${ProblemNote} problem=${problem} what=${told ? `The newest state of ${name.toLowerCase()}` : name} again=${again} />`}
    ${told && count === 0 && html`<div class="body empty">${empty}</div>`}
    ${told && count > 0 && html`<div class="scroll-x" tabindex="0" role="region" aria-label=${`Table of ${name.toLowerCase()}`}><table>
      <thead><tr>${heads.map((head) => typeof head === "string" ? html`<th scope="col">${head}</th>` : head)}</tr></thead>
      <tbody>${children}</tbody></table></div>`}
    ${foot}</section>`;
}

/** @param {string} text A head above figures. */
export const numeric = (text) => html`<th scope="col" class="num">${text}</th>`;

/** @param {string} text What stands between `backticks` is code. */
export function withCode(text) {
  return text.split("`").map((part, at) => at % 2 ? html`<code>${part}</code>` : part);
}
