// What the drawer says of a group: that it runs as an execution of its own, and the ways into it.
import { html } from "../../../vendor/preact.js";
import { useKeys } from "../../../app/keys.js";
import { runAddress } from "../../../app/router.js";
import { showTab } from "../selection.js";
import { hasInside, openGroup } from "./opened.js";

/** @param {{node: import("../run_store.js").Node, depth: number}} props `depth`: how many opened groups are around it */
export function InsideFacts({ node, depth }) {
  const opens = hasInside(node);
  const open = (/** @type {string} */ inner) => {
    showTab("graph");
    openGroup(node.id, depth, inner);
  };
  useKeys(opens ? [{ keys: "o", does: "open the group", run: () => open("") }] : [], [node.id, depth, opens]);
  const cause = node.child && (node.error?.code === "group_failed" || node.error?.code === "child_failed") ? node.error.caused_by : null;
  if (!opens) return null;
  return html`<div class="does"><button class="b" type="button" onClick=${() => open("")}>Open its graph <kbd>o</kbd></button>
    ${cause && html`<button class="b" type="button" onClick=${() => open(cause)}>Show <span class="cut"><bdi>${cause}</bdi></span></button>`}
    ${node.child && html`<a class="b bare" href=${runAddress(node.child)}>As a run of its own</a>`}</div>`;
}
