// Why an answer was not taken, and what can be done.
import { html } from "../../vendor/preact.js";
import { Icon } from "../../parts/icon.js";

/** @param {{problem: any, others: string[], retry: string}} props `others`: problems of no field; `retry`: what to do if no answer came */
export function Refusal({ problem, others, retry }) {
  if (!problem) return null;
  const says = problem.document?.problems?.length ? others.join(" ") || "See what is said at the fields." : problem.message;
  return html`<div class="note is-failed" role="alert"><${Icon} name="failed" /><span class="grow">
    <b>It was not taken${problem.status ? "" : ", as far as is known"}.</b> ${says} ${problem.status ? "" : retry} <code class="faint">${problem.code}</code></span></div>`;
}
