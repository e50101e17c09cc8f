// The tabs of a run.
import { html, useEffect } from "../../../vendor/preact.js";
import { number } from "../../../app/format.js";
import { address } from "../../../app/router.js";
import { showTab, tab, TABS } from "../selection.js";

/** @type {Record<string, string>} */
const NAMES = { graph: "Graph", timeline: "Timeline", nodes: "Nodes", events: "Events", logs: "Logs", data: "Data" };

/** @param {{store: import("../run_store.js").RunStore}} props */
export function RunTabs({ store }) {
  // On a phone the tabs scroll sideways.
  useEffect(() => { document.getElementById(`tab-${tab.value}`)?.scrollIntoView({ block: "nearest", inline: "nearest" }); }, [tab.value]);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = TABS[(TABS.indexOf(tab.value) + step + TABS.length) % TABS.length];
    showTab(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label="Views of this run" onKeyDown=${onKeyDown}>${TABS.map((name) => html`
    <a key=${name} id=${`tab-${name}`} role="tab" href=${addressOf(name)} aria-selected=${tab.value === name ? "true" : "false"}
      aria-controls="view" tabindex=${tab.value === name ? 0 : -1}>${NAMES[name]}${
        name === "nodes" && html` <i>${number(store.order.value.length)}</i>`}</a>`)}</div>`;
}

/** @param {string} name */
function addressOf(name) {
  const url = new URL(address.value);
  if (name === TABS[0]) url.searchParams.delete("tab");
  else url.searchParams.set("tab", name);
  return url.pathname + url.search;
}
