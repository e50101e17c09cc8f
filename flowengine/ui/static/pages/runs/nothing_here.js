// What stands in the place of rows where there are none: bones, the first step, or what the filter hides.
import { html } from "../../vendor/preact.js";
import { counted } from "../../app/format.js";
import { may, me } from "../../app/session.js";
import { CopyButton } from "../../parts/copy_button.js";
import { clearFilters, filters, narrow, narrows } from "./filters.js";
import { keptRuns, stats } from "./stats_store.js";

const COMMAND = "flowengine submit workflows/linear_dag.yaml";

/** @param {{older: boolean}} props `older`: older runs were not looked at */
export function NothingHere({ older }) {
  const wanted = filters.value;
  const kept = stats.value ? keptRuns(stats.value) : null;
  if (wanted.cursor) return html`<div class="empty"><h2>No older run</h2><p><a class="b" href="/ui/runs">The newest runs</a></p></div>`;
  if (!narrows(wanted)) return html`<${FirstRun} />`;
  return html`<div class="empty"><h2>No run matches</h2>
    <p>${older ? "None of the newest does; older ones were not looked at." : kept ? `${counted(kept, "run")} ${kept === 1 ? "is" : "are"} hidden by this filter.` : "The filter hides them, or there are none."}</p>
    <p class="line">${wanted.period && html`<button class="b" type="button" onClick=${() => narrow({ period: "" })}>Look at all times</button>`}
      <button class=${wanted.period ? "b bare" : "b"} type="button" onClick=${clearFilters}>Clear the filter</button></p></div>`;
}

function FirstRun() {
  return html`<div class="empty"><h2>No runs yet</h2>
    ${may("author") ? html`<p>Look at an example and start it, or paste a document of your own.</p>
      <p class="line"><a class="b primary" href="/ui/new?example=first">Try an example</a><a class="b" href="/ui/new">New run</a></p>`
      : html`<p>The key ${me.value?.key} may ${me.value?.role}. Starting a document needs the role author.</p>`}
    <p>From a terminal:</p><div class="line"><pre>$ ${COMMAND}</pre><${CopyButton} text=${COMMAND} what="the command" /></div></div>`;
}
