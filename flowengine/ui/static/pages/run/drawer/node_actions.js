// What one can do about a node: run it again, or decide it by hand. What the role never allows is absent; what is
// only now not possible says why.
import { html, useState } from "../../../vendor/preact.js";
import { may } from "../../../app/session.js";
import { askRerunFrom } from "../dialogs/asked.js";
import { whyNoRerun } from "../dialogs/rerun_possible.js";
import { isConsequence } from "../node_changes.js";
import { OverruleDialog } from "./overrule_dialog.js";

const OPEN = new Set(["pending", "queued", "running", "waiting"]);

/** @param {{store: import("../run_store.js").RunStore, node: import("../run_store.js").Node}} props */
export function NodeActions({ store, node }) {
  const [asked, ask] = useState("");
  if (!may("operate")) return null;
  const run = store.run.value;
  const noRerun = whyNoRerun(store);
  const noWord = wordNotPossible(node, run.status);
  const isOpen = OPEN.has(node.status);
  const action = (/** @type {string} */ key, /** @type {string} */ name, /** @type {string} */ why, primary = false) => html`
    <button type="button" class=${primary && !why ? "b primary" : "b"} aria-disabled=${why ? "true" : null} title=${why || null} aria-describedby=${why ? "not-now" : null}
      onClick=${() => { if (!why) (key === "rerun" ? askRerunFrom(node.id) : ask(key)); }}>${name}</button>`;
  const whys = [...new Set([noRerun, isOpen ? noWord : ""])].filter(Boolean);
  return html`<div class="does">
    ${action("rerun", "Rerun from here…", noRerun, node.status === "failed" && !isConsequence(node))}
    ${isOpen && html`${action("complete", "Complete…", noWord)}${action("skip", "Skip…", noWord)}${action("fail", "Fail…", noWord)}`}
    ${whys.length > 0 && html`<small id="not-now">${whys.join(" ")}</small>`}
    ${asked && html`<${OverruleDialog} store=${store} node=${node} said=${asked} onClose=${() => ask("")} />`}</div>`;
}

/**
 * @param {import("../run_store.js").Node} node
 * @param {string} status of the run
 */
function wordNotPossible(node, status) {
  if (status === "cancelling") return "The run is being stopped: its nodes are not decided by hand any more.";
  if (status !== "running" && status !== "paused") return "A node is decided by hand while its run runs or is paused.";
  if (node.hook && node.status === "pending") return "It is decided by hand once the turn of its hook has come.";
  return "";
}
