// Put a document in force under its name: first what that changes, then the act.
import { html, useEffect, useState } from "../../vendor/preact.js";
import { call, post } from "../../app/api.js";
import { navigate } from "../../app/router.js";
import { Confirmed } from "../../parts/asking/confirmed.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { definitionAddress, definitionPath } from "./addresses.js";
import { Changes } from "./versions/changes.js";

/** @typedef {{name: string, change: "new" | "changed" | "rewritten" | "same", version: number | null, becomes: number, differences: import("./versions/changes.js").Difference[]}} Compared */

/** @param {{text: string, isJson: boolean, why: string}} props `why` it cannot be applied now, or "" */
export function ApplyButton({ text, isJson, why }) {
  const [open, setOpen] = useState(false);
  const close = () => setOpen(false);
  return html`<button class="b" type="button" aria-haspopup="dialog" aria-disabled=${why ? "true" : null} title=${why || "It is kept under its name, and can be started by that"}
      onClick=${() => { if (!why) setOpen(true); }}>Apply…</button>
    ${open && html`<${Apply} text=${text} isJson=${isJson} onClose=${close} />`}`;
}

/** @param {{text: string, isJson: boolean, onClose: () => void}} props */
function Apply({ text, isJson, onClose }) {
  const [found, setFound] = useState(/** @type {Compared | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const ask = () => {
    setProblem(null);
    post("/definitions/diff", { documents: [text] }).then(({ items }) => setFound(items[0]), setProblem);
  };
  useEffect(ask, []);
  const act = found && (async () => {
    await call("PUT", definitionPath(found.name), { text, type: isJson ? "application/json" : "application/yaml" });
    navigate(definitionAddress(found.name));
  });
  const says = found ? html`${whatHappens(found)}${found.differences.length > 0 && html`<div class="apply-changes"><${Changes} differences=${found.differences} /></div>`}`
    : problem ? html`<${ProblemNote} problem=${problem} what="What it would change" again=${ask} />` : html`<p class="quiet" role="status">Asking what that would change…</p>`;
  return html`<${Confirmed} title="Apply the document" does="Apply it" onClose=${onClose} act=${act} says=${says} />`;
}

/** @param {Compared} found */
function whatHappens({ name, change, version, becomes }) {
  const named = html`<b><bdi>${name}</bdi></b>`;
  if (change === "new") return html`Nothing is applied as ${named} yet: this is its version ${becomes}. From then on it can be started by its name.`;
  if (change === "changed") return html`Version ${becomes} of ${named} takes the place of version ${version}. Runs keep the version that they started with.`;
  if (change === "rewritten") return html`The same as version ${version} of ${named}, in another text: the text is replaced.`;
  return html`${named} says this already: version ${version} is in force.`;
}
