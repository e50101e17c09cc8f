// What went wrong, and what one can do: a note in its place, beside what is shown still.
import { html, useEffect } from "../vendor/preact.js";
import { reached } from "../app/api.js";
import { Icon } from "./icon.js";

/**
 * @param {{problem: any, what: string, again?: () => void, instead?: any}} props `what` was wanted: "The runs"; `instead`:
 * what else can be pressed, where asking again does not help
 */
export function ProblemNote({ problem, what, again, instead }) {
  const { ok } = reached.value;
  // What got no answer is asked for again as soon as there are answers.
  useEffect(() => { if (ok && problem?.status === 0) again?.(); }, [ok]);
  if (!problem) return null;
  const code = problem.code ? html` <code class="faint">${problem.code}</code>` : null;
  return html`<div class="note is-failed" role="alert"><${Icon} name="failed" />
    <span class="grow"><b>${what} could not be had.</b> ${problem.message}${code}</span>
    ${instead || again && html`<button class="b" type="button" onClick=${again}>Try again</button>`}</div>`;
}
