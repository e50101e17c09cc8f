// What went wrong, and what one can do: a note in its place, beside what is shown still.
import { html } from "../vendor/preact.js";
import { Icon } from "./icon.js";

/**
 * @param {{problem: any, what: string, again?: () => void}} props `what` was wanted: "The runs"
 */
export function ProblemNote({ problem, what, again }) {
  if (!problem) return null;
  const code = problem.code ? html` <code class="faint">${problem.code}</code>` : null;
  return html`<div class="note is-failed" role="alert"><${Icon} name="failed" />
    <span class="grow"><b>${what} could not be had.</b> ${problem.message}${code}</span>
    ${again && html`<button class="b" type="button" onClick=${again}>Try again</button>`}</div>`;
}
