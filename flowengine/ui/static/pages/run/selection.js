// What is looked at in a run, which all its tabs share: the address says it (`?tab=nodes&node=load&status=failed`).
import { computed } from "../../vendor/preact.js";
import { query, setQuery } from "../../app/router.js";

/** The tabs in their order; the keys 1 to 6 open them. */
export const TABS = ["graph", "timeline", "nodes", "events", "logs", "data"];

/** The tab that is shown. */
export const tab = computed(() => {
  const asked = query.value.get("tab") ?? "";
  return TABS.includes(asked) ? asked : TABS[0];
});

/** The node that is selected; "" for none. */
export const selected = computed(() => query.value.get("node") ?? "");

/** The statuses that the nodes are filtered by; none: all nodes. */
export const shownStatuses = computed(() => new Set(query.value.getAll("status")));

/** @param {string} id Select a node, in each tab; "" selects none. */
export function select(id) {
  setQuery({ node: id });
}

/** @param {string} name Show a tab: a step back leads to the one before. */
export function showTab(name) {
  if (name !== tab.value) setQuery({ tab: name === TABS[0] ? "" : name }, { replace: false });
}

/** @param {string} status Show only the nodes of this status, or those of others too again. */
export function toggleStatus(status) {
  const wanted = new Set(shownStatuses.value);
  if (!wanted.delete(status)) wanted.add(status);
  setQuery({ status: [...wanted] });
}
