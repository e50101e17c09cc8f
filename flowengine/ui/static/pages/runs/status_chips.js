// The statuses, with how many runs have each: the legend, and the filter.
import { html } from "../../vendor/preact.js";
import { number } from "../../app/format.js";
import { Icon } from "../../parts/icon.js";
import { lookOf, wordOf } from "../../parts/status.js";
import { filters, narrowsMore, toggleStatus } from "./filters.js";
import { keptRuns, stats } from "./stats_store.js";

const ALWAYS = ["running", "pending", "paused", "failed", "cancelled", "completed"];
const ORDER = ["running", "pending", "paused", "cancelling", "failed", "cancelled", "completed"];

export function StatusChips() {
  const known = stats.value;
  const { statuses } = filters.value;
  // They count all runs that are kept: beside a list that is narrowed by more than its status they would be wrong.
  const counts = known && !narrowsMore(filters.value) ? known.executions : null;
  const shown = ORDER.filter((status) => ALWAYS.includes(status) || counts?.[status] || statuses.includes(status));
  return html`<div class="counts" role="group" aria-label="Filter by status">
    <button class="chip" type="button" aria-pressed=${statuses.length ? "false" : "true"} onClick=${() => toggleStatus("")}>All${
      counts && known && html` <b>${number(keptRuns(known))}</b>`}</button>
    ${shown.map((status) => html`<button key=${status} class=${`chip is-${lookOf(status)}`} type="button"
      aria-pressed=${statuses.includes(status) ? "true" : "false"} onClick=${() => toggleStatus(status)}>
      <${Icon} name=${lookOf(status)} />${wordOf(status)}${counts && html` <b class=${counts[status] ? null : "none"}>${number(counts[status] ?? 0)}</b>`}</button>`)}</div>`;
}
