// The head of a run: its name and status, what one may do, what happened, the facts, the tabs and how far it is.
import { html } from "../../../vendor/preact.js";
import { runAddress } from "../../../app/router.js";
import { CopyButton } from "../../../parts/copy_button.js";
import { Icon } from "../../../parts/icon.js";
import { ShortId } from "../../../parts/short_text.js";
import { lookOf, wordOf } from "../../../parts/status.js";
import { selected } from "../selection.js";
import { Actions } from "./actions.js";
import { Facts } from "./facts.js";
import { Overall } from "./overall.js";
import { RunTabs } from "./run_tabs.js";
import { toFailure, VerdictLine } from "./verdict.js";

/** @param {{store: import("../run_store.js").RunStore}} props */
export function RunHeader({ store }) {
  const run = store.run.value;
  const status = store.deleted.value ? "deleted" : run.status;
  return html`<div class="run-head">
    <div class="head"><span class="line"><a class="back-up" href=${run.parent ? runAddress(run.parent.execution_id, { node: run.parent.node }) : "/ui/runs"}
        aria-label=${run.parent ? "The run that it is part of" : "All runs"}><${Icon} name="left" /></a>
      <span class=${`status is-${lookOf(status)}`}><${Icon} name=${lookOf(status)} large /></span>
      <h1 class="cut" title=${run.name}><bdi>${run.name.slice(0, 200)}</bdi></h1></span>
      <span class="line quiet"><span>${wordOf(status)}</span><${ShortId} id=${run.execution_id} is="faint" />
        <${CopyButton} text=${run.execution_id} what="the whole id" /></span>
      <${Actions} store=${store} /></div>
    <${VerdictLine} store=${store} onNext=${() => toFailure(store, selected.value, 1)} />
    <${Facts} store=${store} />
    <div class="under-head"><${RunTabs} store=${store} /><${Overall} store=${store} /></div></div>`;
}
