// Above the list: what is selected and what can be done to it; and how far is what was begun.
import { html, useState } from "../../../vendor/preact.js";
import { withQuery } from "../../../app/api.js";
import { counted, number } from "../../../app/format.js";
import { Icon } from "../../../parts/icon.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { asked, filters, narrows, narrowsMore } from "../filters.js";
import { keptRuns, stats } from "../stats_store.js";
import { ACTIONS, actionCalled, leftAlone } from "./actions.js";
import { BulkDialog } from "./bulk_dialog.js";
import { perform, underWay } from "./bulk_request.js";
import { allThatMatch, chosen, chooseNone } from "./chosen.js";

/** @typedef {import("./bulk_request.js").Target} Target */

/** @param {{store: import("../runs_store.js").RunsStore}} props */
export function BulkBar({ store }) {
  const [asks, ask] = useState(/** @type {{action: string, target: Target} | null} */ (null));
  const all = allThatMatch.value;
  const count = chosen.value.size;
  const begin = (/** @type {string} */ action) =>
    ask({ action, target: all ? { filter: asked(filters.peek()) } : { ids: [...chosen.peek().keys()] } });
  const act = async (/** @type {string} */ reason) => {
    if (!asks) return;
    ask(null);
    chooseNone();
    await perform(asks.action, asks.target, reason);
    store.refresh();
  };
  return html`<${UnderWay} />
    ${count > 0 && html`<div class="bulk" role="group" aria-label="Selected runs"><b role="status">${all ? matching() : `${number(count)} selected`}</b>
      ${!all && (store.next.value !== null || store.newer.value.length > 0 || filters.value.cursor) && html`
        <button class="b bare link" type="button" onClick=${() => { allThatMatch.value = true; }}>Select ${matching().toLowerCase()}</button>`}
      <span class="grow"></span>
      ${count === 2 && !all && html`<a class="b" href=${withQuery("/ui/compare", pairOf([...chosen.value.values()]))} onClick=${chooseNone}>Compare</a>`}
      ${ACTIONS.map((each) => html`<${Button} key=${each.action} action=${each} store=${store} onPress=${() => begin(each.action)} />`)}
      <button class="b bare" type="button" onClick=${chooseNone}>Clear</button></div>`}
    ${asks && html`<${BulkDialog} action=${asks.action} target=${asks.target} onAct=${act} onClose=${() => ask(null)} />`}`;
}

/** @param {{action: import("./actions.js").Action, store: import("../runs_store.js").RunsStore, onPress: () => void}} props */
function Button({ action, store, onPress }) {
  const able = [...chosen.value].filter(([id, saved]) => action.statuses.includes((store.row(id)?.value ?? saved).status)).length;
  const look = action.danger ? "b danger" : "b";
  if (allThatMatch.value) return html`<button class=${look} type="button" onClick=${onPress}>${action.name}…</button>`;
  if (!able) return html`<button class=${look} type="button" aria-disabled="true" title=${action.not}>${action.name}<span class="unseen">: ${action.not}</span></button>`;
  return html`<button class=${look} type="button" onClick=${onPress}>${action.name} ${number(able)}</button>`;
}

/** @param {import("./chosen.js").Row[]} two The older one stands left. */
function pairOf(two) {
  const [left, right] = two.map((run) => run.execution_id).sort((one, other) => (chosen.value.get(one)?.created_at ?? "") < (chosen.value.get(other)?.created_at ?? "") ? -1 : 1);
  return { left, right };
}

/** How many the filter finds, if that is known. */
function matching() {
  const known = stats.value;
  if (!known || narrowsMore(filters.value)) return "All that match";
  if (!narrows(filters.value)) return `All ${number(keptRuns(known))}`;
  const count = filters.value.statuses.reduce((sum, status) => sum + (known.executions[status] ?? 0), 0);
  return `All ${number(count)} that match`;
}

function UnderWay() {
  const now = underWay.value;
  if (!now) return null;
  const { bulk, problem } = now;
  const close = () => { underWay.value = null; };
  const over = problem || bulk?.status === "finished";
  return html`<div class="bulk" role="status">
    ${problem && html`<${ProblemNote} problem=${problem} what="How far it is" />`}
    ${!problem && !bulk && html`<span>Asked for…</span>`}
    ${bulk && html`<span class="line"><${Icon} name=${over ? "completed" : "running"} /><b>${counted(bulk.done, "run")} ${actionCalled(bulk.action).does}${over ? "." : ` so far, ${number(bulk.seen)} looked at`}</b></span>
      <span>${leftAlone(bulk)}</span>${bulk.stopped && html`<span class="line"><${Icon} name="warn" /> It stopped before its end: the key that began it is not valid any more.</span>`}`}
    <span class="grow"></span>${over && html`<button class="b bare" type="button" onClick=${close}>Close</button>`}</div>`;
}
