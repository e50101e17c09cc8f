// One run of the list: its status, name and id, why it failed or waits, how far it is, its times, labels.
import { html } from "../../vendor/preact.js";
import { exactNow } from "../../app/clock.js";
import { at, counted, cutMiddle, exact } from "../../app/format.js";
import { runAddress } from "../../app/router.js";
import { CountsBar } from "../../parts/counts_bar.js";
import { Icon } from "../../parts/icon.js";
import { Ago, Took } from "../../parts/moment.js";
import { ShortId, ShortText } from "../../parts/short_text.js";
import { shownText } from "../../parts/shown_text.js";
import { Status } from "../../parts/status.js";
import { waitPhrase } from "../../parts/words/waiting_words.js";
import { chosen, choose } from "./bulk/chosen.js";
import { addLabel } from "./filters.js";

/** @typedef {import("./runs_store.js").Row} Row */

const MOST_LABELS = 2;
const NAME_CHARS = 120;
const ID_CHARS = 13;
const CAUSE_CHARS = 300;
/** @type {Record<string, string>} */
const TRIGGERS = { api: "API", schedule: "schedule", after: "after", signal: "signal", parent: "parent" };

/** @param {{row: import("./runs_store.js").RowSignal, selectable: boolean, shown: () => Row[]}} props */
export function RunRow({ row, selectable, shown }) {
  const run = row.value;
  const picked = chosen.value.has(run.execution_id);
  const short = cutMiddle(run.execution_id, ID_CHARS);
  const name = cutMiddle(run.name, NAME_CHARS);
  const gone = run.status === "deleted";
  return html`<tr class=${picked ? "picked" : null} data-run=${run.execution_id}>
    ${selectable && html`<td><input type="checkbox" checked=${picked} disabled=${gone} aria-label=${`Select ${cutMiddle(run.name, 60)} ${short}`}
      onClick=${(/** @type {MouseEvent} */ event) => choose(run, !picked, event.shiftKey ? shown() : [])} /></td>`}
    <td class="c-status"><${Status} status=${run.status} />${failing(run)}</td>
    <td class="c-name"><a class="name plain cut" href=${runAddress(run.execution_id)} title=${run.name === name ? null : run.name.slice(0, 2000)}><bdi><${ShortText} text=${run.name} most=${NAME_CHARS} /></bdi></a>${
      run.version === null ? null : html` <span class="faint small">v${run.version}</span>`}
      <div class="under"><${ShortId} id=${run.execution_id} most=${ID_CHARS} />${cause(run)}</div></td>
    <td><${Progress} run=${run} /></td>
    <td class="c-start"><${Ago} at=${run.started_at ?? run.created_at} /></td>
    <td class="num"><${Took} from=${run.started_at} to=${run.finished_at} /></td>
    <td class="quiet hide-m">${run.trigger ? TRIGGERS[run.trigger.kind] ?? run.trigger.kind : "–"}</td>
    <td class="hide-m c-labels"><${Labels} labels=${run.labels} /></td></tr>`;
}

/** @param {Row} run A run that goes on although something of it failed. */
function failing(run) {
  if (!run.counts.failed || run.finished_at) return null;
  return html` <span class="status is-failed small" title=${`${counted(run.counts.failed, "node")} failed, others go on`}>
    <${Icon} name="failed" />${run.counts.failed}<span class="unseen"> failed</span></span>`;
}

/** @param {Row} run Why it failed, was stopped or waits: nobody opens a run to learn it. */
function cause(run) {
  const { error, waiting_for: waits } = run;
  if (error) {
    const text = shownText(cutMiddle(error.node ? `${error.node}: ${error.message}` : error.message, CAUSE_CHARS));
    return html`<span class=${run.status === "failed" || !run.finished_at ? "cut" : "cut say"} title=${`${error.code}: ${text}`}><bdi>${text}</bdi></span>`;
  }
  if (!waits) return null;
  if (waits.kind === "turn") return html`<span class="cut say">waits for its turn: <bdi>${cutMiddle(waits.key ?? "", 60)}</bdi></span>`;
  const phrase = waitPhrase(waits.kind, at(waits.until) - exactNow());
  return html`<span class="cut say" title=${exact(waits.until)}><bdi>${cutMiddle(waits.node, 60)}</bdi> ${phrase}</span>`;
}

/** @param {{run: Row}} props */
function Progress({ run }) {
  const { total, unfinished, failed } = run.counts;
  // Of one that ended well or was stopped there is nothing to tell apart.
  if (run.status === "completed" || run.status === "cancelled") return html`<span class="progress"><span>${counted(total, "node")}</span></span>`;
  const counts = { total, completed: total - unfinished - failed, failed, pending: unfinished };
  return html`<span class="progress"><${CountsBar} counts=${counts} /><span>${total - unfinished} of ${total}</span></span>`;
}

/** @param {{labels: Record<string, string>}} props */
function Labels({ labels }) {
  const all = Object.entries(labels);
  return html`${all.slice(0, MOST_LABELS).map(([name, value]) => html`<button key=${name} class="tag" type="button"
      title=${`Only runs with ${name}=${value}`} onClick=${() => addLabel(`${name}:${value}`)}><bdi>${cutMiddle(`${name}=${value}`, 22)}</bdi></button> `)}${
    all.length > MOST_LABELS && html`<span class="small faint" title=${all.slice(MOST_LABELS).map(([name, value]) => `${name}=${value}`).join("\n")}>+${all.length - MOST_LABELS}</span>`}`;
}
