// One run: its head, and below it one of six views of it, beside the drawer of the node that is selected.
import { html, useEffect, useMemo, useState } from "../../vendor/preact.js";
import { useKeys } from "../../app/keys.js";
import { Icon } from "../../parts/icon.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { RunDialogs } from "./dialogs/run_dialogs.js";
import { close } from "./dialogs/asked.js";
import { NodeDrawer } from "./drawer/node_drawer.js";
import { GraphTab } from "./graph/graph_tab.js";
import { PageTitle } from "./header/page_title.js";
import { RunHeader } from "./header/run_header.js";
import { toFailure } from "./header/verdict.js";
import { useInnerRuns } from "./inside/inner_runs.js";
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
  useEffect(() => close, [store]);
  useKeys([
    ...TABS.map((name, index) => ({ keys: `${index + 1}`, does: `show ${name}`, run: () => showTab(name) })),
    { keys: "n", does: "next failure", run: () => toFailure(store, selected.peek(), 1) },
    { keys: "N", does: "failure before", run: () => toFailure(store, selected.peek(), -1) },
    { keys: "Escape", does: "close the drawer", run: shut },
  ], [store]);
  const inner = useInnerRuns(store);
  const problem = store.problem.value;
  if (!store.run.value) return problem ? html`<${NoRun} problem=${problem} again=${store.snapshot} />` : html`<${Bones} />`;
  const node = selected.value;
  const stores = [store, ...inner.flatMap((each) => each.store ?? [])];
  // Nodes of a child may be called as nodes around it: what is opened last is meant, where it is seen.
  const shown = tab.value === TABS[0] ? stores : [store];
  const depth = shown.map((each) => each.order.value.includes(node)).lastIndexOf(true);
  return html`<div class="run-page">
    <${PageTitle} store=${store} />
    <${RunHeader} store=${store} />
    ${store.deleted.value && html`<div class="note is-cancelled" role="alert"><${Icon} name="cancelled" /><span><b>This run was deleted.</b>
      What is shown is what was last known of it. Its events, results and logs are gone. <a href="/ui/runs">To the runs</a></span></div>`}
    ${problem && html`<${ProblemNote} problem=${problem} what="The newest state of the run" again=${store.snapshot} />`}
    <div class="work" id="view" role="tabpanel" aria-labelledby=${`tab-${tab.value}`}>
      <${VIEWS[tab.value]} store=${store} inner=${inner} />
      ${depth >= 0 && html`<${NodeDrawer} key=${node} store=${stores[depth]} node=${node} depth=${depth} onClose=${shut} />`}
    </div>
    <${RunDialogs} store=${store} /></div>`;
}

/** Close the drawer; the focus goes back to where the node is. */
function shut() {
  const node = selected.peek();
  select("");
  if (!node) return;
  const card = [...document.querySelectorAll(`[data-card="${CSS.escape(node)}"]`)].pop();
  if (card instanceof SVGElement) card.focus({ preventScroll: true });
}

/** @param {{problem: any, again: () => void}} props */
function NoRun({ problem, again }) {
  if (problem.status !== 404) return html`<div class="page"><${ProblemNote} problem=${problem} what="The run" again=${again} /></div>`;
  return html`<div class="page empty"><h1>There is no such run</h1>
    <p>It was deleted, its time to be kept is over, or the address is not whole.</p><p><a class="b" href="/ui/runs">All runs</a></p></div>`;
}

/** Where the head comes, once it takes longer than one would notice. */
function Bones() {
  const [shown, show] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => show(true), 300);
    return () => clearTimeout(timer);
  }, []);
  return shown && html`<div class="page"><svg class="bones" viewBox="0 0 320 80" role="img" aria-label="The run comes">
    <path class="bone" d="M6 12h160M6 40h300M6 66h220" /></svg></div>`;
}
