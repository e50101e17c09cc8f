// The head of a run: its name and status, what happened, the facts, the tabs.
import { html } from "../../../vendor/preact.js";
import { CopyButton } from "../../../parts/copy_button.js";
import { Icon } from "../../../parts/icon.js";
import { lookOf, wordOf } from "../../../parts/status.js";
import { RunTabs } from "./run_tabs.js";

/** @param {{store: import("../run_store.js").RunStore}} props */
export function RunHeader({ store }) {
  const run = store.run.value;
  return html`<div class="run-head">
    <div class="head"><span class="line"><a class="back-up" href="/ui/runs" aria-label="All runs"><${Icon} name="left" /></a>
      <span class=${`status is-${lookOf(run.status)}`}><${Icon} name=${lookOf(run.status)} large /></span>
      <h1 class="cut"><bdi>${run.name}</bdi></h1></span>
      <span class="line quiet"><span>${wordOf(run.status)}</span><code class="faint">${run.execution_id.slice(0, 8)}</code>
        <${CopyButton} text=${run.execution_id} what="the whole id" /></span></div>
    <div class="under-head"><${RunTabs} store=${store} /></div></div>`;
}
