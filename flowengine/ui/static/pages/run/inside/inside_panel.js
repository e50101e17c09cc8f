// A group that is opened in place: the graph of its child over that of the run, and the way back.
import { html, useEffect, useRef } from "../../../vendor/preact.js";
import { useKeys } from "../../../app/keys.js";
import { runAddress } from "../../../app/router.js";
import { Icon } from "../../../parts/icon.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { Status } from "../../../parts/status.js";
import { select, selected } from "../selection.js";
import { closeTo } from "./opened.js";

/**
 * @param {{store: import("../run_store.js").RunStore, inner: import("./inner_runs.js").Inner[], graph: any}} props `graph`: the component that
 *   draws a store
 */
export function InsidePanel({ store, inner, graph: Graph }) {
  const head = useRef(/** @type {HTMLElement | null} */ (null));
  const last = inner[inner.length - 1];
  const child = last.store;
  const run = child?.run.value;
  const up = () => closeTo(inner.length - 1);
  useKeys([{ keys: "Escape", does: "close the group", run: () => (document.querySelector(".drawer") && selected.peek() ? select("") : up()) }], [inner.length, last.group]);
  useEffect(() => {
    // A page that comes with a group open leaves the focus where the browser has it.
    const activation = /** @type {any} */ (navigator).userActivation;
    if (!activation || activation.hasBeenActive) head.current?.focus({ preventScroll: true });
  }, [last.group]);
  return html`<section class="inside" aria-label=${`Inside ${last.group}`}>
    <header class="line"><nav class="crumbs grow" aria-label="Groups that are open"><ol>
        <li><button type="button" class="as-text link cut" onClick=${() => closeTo(0)}><bdi>${store.run.value.name}</bdi></button></li>
        ${inner.map(({ group }, depth) => html`<li key=${group}>${depth === inner.length - 1 ? html`<h2 class="cut" tabindex="-1" ref=${head} aria-current="true"><bdi>${group}</bdi></h2>`
          : html`<button type="button" class="as-text link cut" onClick=${() => closeTo(depth + 1)}><bdi>${group}</bdi></button>`}</li>`)}</ol></nav>
      ${run && html`<${Status} status=${run.status} />`}
      ${child && html`<a class="b bare" href=${runAddress(child.id)}>As a run</a>`}
      <button class="b bare square" type="button" aria-label="Close the group" title="Close (Esc)" onClick=${up}><${Icon} name="x" /></button></header>
    ${child?.problem.value && html`<${ProblemNote} problem=${child.problem.value} what="The inside of the group" again=${child.snapshot} />`}
    ${run ? html`<${Graph} key=${child.id} store=${child} depth=${inner.length} />` : html`<p class="tab-note">${child ? "" : notBegun(last.node)}</p>`}</section>`;
}

/** @param {import("../run_store.js").Node | undefined} node */
function notBegun(node) {
  if (node?.status === "skipped" || node?.status === "failed" || node?.status === "cancelled") return "It did not begin: nothing has run in it.";
  return "It has not begun yet. Its nodes are shown once it runs.";
}
