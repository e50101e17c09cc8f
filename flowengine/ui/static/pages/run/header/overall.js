// How far a run is: the bar, and the counts, which are its legend and the filter of the nodes.
import { html } from "../../../vendor/preact.js";
import { number } from "../../../app/format.js";
import { CountsBar, endedOf } from "../../../parts/counts_bar.js";
import { Icon } from "../../../parts/icon.js";
import { wordOf } from "../../../parts/status.js";
import { shownStatuses, toggleStatus } from "../selection.js";

const ORDER = ["failed", "running", "waiting", "queued", "pending", "cancelled", "skipped", "completed"];

/** @param {{store: import("../run_store.js").RunStore}} props */
export function Overall({ store }) {
  const counts = store.counts.value;
  const shown = shownStatuses.value;
  return html`<div class="overall"><${CountsBar} counts=${counts} width=${160} height=${10} />
    <b>${number(endedOf(counts))} of ${number(counts.total)}</b>
    <div class="counts" role="group" aria-label="Filter by status">${ORDER.filter((status) => counts[status] || shown.has(status)).map((status) => {
      const word = wordOf(status);
      return html`<button key=${status} class=${`chip is-${status}`} type="button" aria-pressed=${shown.has(status) ? "true" : "false"}
        aria-label=${`${counts[status] ?? 0} ${word.toLowerCase()}`} title=${`${word}: show only these`} onClick=${() => toggleStatus(status)}>
        <${Icon} name=${status} /><span>${word.toLowerCase()}</span> <b>${number(counts[status] ?? 0)}</b></button>`;
    })}</div></div>`;
}
