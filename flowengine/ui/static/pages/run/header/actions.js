// What one may do with a run: what its state and the role of the key allow.
import { html, useState } from "../../../vendor/preact.js";
import { post } from "../../../app/api.js";
import { may } from "../../../app/session.js";
import { Icon } from "../../../parts/icon.js";
import { ask } from "../dialogs/asked.js";
import { isConsequence } from "../node_changes.js";
import { MoreMenu } from "./more_menu.js";

/** @typedef {{name: string, does: () => Promise<any>, why?: string, primary?: boolean, title?: string}} Action */

/** @param {{store: import("../run_store.js").RunStore}} props */
export function Actions({ store }) {
  const [problem, setProblem] = useState(/** @type {{name: string, message: string, status: number} | null} */ (null));
  const [busy, setBusy] = useState("");
  if (store.deleted.value) return null;
  const act = async (/** @type {Action} */ action) => {
    if (action.why || busy) return;
    setBusy(action.name);
    setProblem(null);
    try {
      await action.does();
      await store.snapshot();
    } catch (error) {
      const { message, status } = /** @type {any} */ (error);
      setProblem({ name: action.name, message, status });
    }
    setBusy("");
  };
  const more = furtherOf(store);
  return html`<div class="actions">${actionsOf(store).map((action) => html`<button key=${action.name} class=${action.primary ? "b primary" : "b"} type="button"
      aria-disabled=${action.why ? "true" : null} title=${action.why ?? action.title ?? null} onClick=${() => act(action)}>${action.name}</button>`)}
    ${more.length > 0 && html`<${MoreMenu} items=${more} />`}</div>
    ${problem && html`<div class="note is-failed wide" role="alert"><${Icon} name="failed" /><span class="grow"><b>${problem.name}: not done${problem.status ? "" : ", as far as is known"}.</b> ${problem.message}</span>
      <button class="b bare square" type="button" aria-label="Close this note" onClick=${() => setProblem(null)}><${Icon} name="x" /></button></div>`}`;
}

/** @param {import("../run_store.js").RunStore} store @returns {Action[]} */
function actionsOf(store) {
  const { status, run } = store.run.value;
  const steer = (/** @type {string} */ what) => () => post(`${store.path}/${what}`);
  /** @type {Action[]} */
  const actions = [];
  if (status === "pending" && may("author") && !store.run.value.parent) {
    const why = store.run.value.rerun_of ? "It begins by itself" : store.run.value.waiting_for ? "It was started, and waits for its turn" : undefined;
    actions.push({ name: "Start", primary: !why, why, does: () => post(`/workflow/trigger/${encodeURIComponent(store.id)}`) });
  }
  if (!may("operate")) return actions;
  if (store.run.value.parent) return store.isOver.value ? actions : [cancelOf(status)];
  if (status === "running") actions.push({ name: "Pause", does: steer("pause"), title: "Nothing new begins until it is resumed; what runs goes on" });
  if (status === "paused") actions.push({ name: "Resume", does: steer("resume"), primary: true });
  if (!store.isOver.value) actions.push(cancelOf(status));
  if (status === "pending") return actions;
  const failed = store.some(store.order.value).filter((node) => !node.hook && !node.tolerated && (node.status === "failed" || node.status === "cancelled"));
  const again = failed.length;
  const own = failed.filter((node) => !isConsequence(node)).length;
  const why = store.isOver.value ? again ? undefined : "No node has failed or was cancelled, tolerated failures aside" : "Possible once the run has ended";
  actions.push({
    name: again && store.isOver.value ? `Rerun failed ${own || again}` : "Rerun failed", why, primary: status === "failed",
    title: `Begins again what failed and what is below it: ${again} of ${store.counts.value.total} nodes; keeps the other results`,
    does: () => post(`${store.path}/rerun`, { mode: "failed", expect: { run } }),
  });
  if (store.isOver.value) actions.push({ name: "Rerun…", does: async () => ask({ what: "rerun", mode: again ? "failed" : "all" }) });
  return actions;
}

/** @param {string} status @returns {Action} */
const cancelOf = (status) => ({ name: "Cancel…", does: async () => ask({ what: "cancel" }), why: status === "cancelling" ? "It is being cancelled already" : undefined });

/** @param {import("../run_store.js").RunStore} store @returns {import("./more_menu.js").Item[]} Of a child: nothing, it goes with the run at the top. */
function furtherOf(store) {
  /** @type {import("./more_menu.js").Item[]} */
  const items = [];
  if (store.run.value.parent) return items;
  items.push({ name: "Compare with another run…", run: () => ask({ what: "compare" }) });
  if (may("author")) items.push({ name: "New run with this document and inputs", href: `/ui/new?from=${encodeURIComponent(store.id)}` });
  if (may("operate")) items.push({ name: "Delete…", danger: true, run: () => ask({ what: "delete" }) });
  return items;
}
