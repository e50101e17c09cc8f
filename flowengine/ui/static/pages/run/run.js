// One run: its head, and below it one of six views of it, beside the drawer of the node that is selected.
import { html, useEffect, useMemo } from "../../vendor/preact.js";
import { useKeys } from "../../app/keys.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { NodeDrawer } from "./drawer/node_drawer.js";
import { GraphTab } from "./graph/graph_tab.js";
import { RunHeader } from "./header/run_header.js";
import { runStore } from "./run_store.js";
import { select, selected, showTab, tab, TABS } from "./selection.js";
import { Data } from "./tabs/data.js";
import { Events } from "./tabs/events.js";
import { Logs } from "./tabs/logs.js";
import { NodesTable } from "./tabs/nodes_table.js";
import { Timeline } from "./tabs/timeline.js";

/** @type {Record<string, any>} */
const VIEWS = { graph: GraphTab, timeline: Timeline, nodes: NodesTable, events: Events, logs: Logs, data: Data };

/** @param {{id: string}} props */
export function Run({ id }) {
  const store = useMemo(() => runStore(id), [id]);
  useEffect(() => store.start(), [store]);
  useKeys([
    ...TABS.map((name, index) => ({ keys: `${index + 1}`, does: `show ${name}`, run: () => showTab(name) })),
    { keys: "Escape", does: "close the drawer", run: () => select("") },
  ]);
  const problem = store.problem.value;
  if (!store.run.value) {
    return problem ? html`<div class="page"><${ProblemNote} problem=${problem} what="The run" again=${store.snapshot} /></div>` : null;
  }
  const node = selected.value;
  return html`<div class="run-page">
    <${RunHeader} store=${store} />
    ${problem && html`<${ProblemNote} problem=${problem} what="The newest state of the run" again=${store.snapshot} />`}
    <div class="work" id="view" role="tabpanel" aria-labelledby=${`tab-${tab.value}`}>
      <${VIEWS[tab.value]} store=${store} />
      ${store.nodes.has(node) && html`<${NodeDrawer} key=${node} store=${store} node=${node} onClose=${() => select("")} />`}
    </div></div>`;
}
