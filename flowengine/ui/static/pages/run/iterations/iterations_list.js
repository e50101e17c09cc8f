// The iterations of a node that repeats: what the one before gave, and when each began and ended, the newest first.
import { html, useMemo } from "../../../vendor/preact.js";
import { at, counted, duration, exact } from "../../../app/format.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { Status } from "../../../parts/status.js";
import { Value } from "../../../parts/values/value.js";
import { placed, useDrawnOnce, useRowsInSight } from "../../../parts/virtual_rows.js";
import { eventsOf } from "../history/run_events.js";
import { errorWords } from "../words/node_words.js";
import { iterationsOf } from "./iterations_of.js";
import { runAddress } from "../../../app/router.js";

const ROW = 26;
const HEAD = 28;

/** @param {{store: import("../run_store.js").RunStore, detail: any, now: number}} props `detail`: of the node */
export function IterationsList({ store, detail, now }) {
  const feed = eventsOf(store);
  const rows = useMemo(() => iterationsOf(feed.items.filter((event) => event.node === detail.id)).reverse(), [feed, feed.changed.value, detail.id]);
  const drawn = useDrawnOnce();
  const { box, first, last } = useRowsInSight(rows.length, ROW, HEAD);
  const gap = (/** @type {number} */ count) => html`<tr aria-hidden="true"><td class="gap" colspan="4" ref=${placed({ height: count * ROW })}></td></tr>`;
  return html`${detail.previous !== undefined && html`<h3 class="small">What the iteration before gave (<code>previous</code>)</h3>
      <${Value} value=${detail.previous} name=${`${detail.id} previous`} />`}
    <${ProblemNote} problem=${feed.problem.value} what="The iterations" again=${feed.read} />
    ${feed.cut.value && html`<p class="small quiet">Older events were dropped, and with them the first iterations.</p>`}
    ${rows.length > 0 && html`<div class="iterations" ref=${box} tabindex="0" role="region" aria-label=${counted(rows.length, "iteration")}><table aria-rowcount=${rows.length + 1}>
      <thead><tr><th class="num">#</th><th>Started (UTC)</th><th class="num">Took</th><th>Outcome</th></tr></thead><tbody>${first > 0 && gap(first)}
      ${rows.slice(first, last).map((each, index) => drawn(String(each.number), { each, at: first + index, now: each.ended ? 0 : now },
        () => html`<${Row} key=${each.number} each=${each} at=${first + index} now=${now} />`))}
      ${last < rows.length && gap(rows.length - last)}</tbody></table></div>`}`;
}

/** @param {{each: import("./iterations_of.js").Iteration, at: number, now: number}} props */
function Row({ each, at: place, now }) {
  return html`<tr aria-rowindex=${place + 2}><td class="num">${each.number}</td>
    <td title=${exact(each.begun)}>${each.begun.slice(11, 19)}</td><td class="num">${duration((each.ended ? at(each.ended) : now) - at(each.begun))}</td>
    <td><${Status} status=${each.status} word=${each.code ? errorWords({ code: each.code }) : undefined} />${
      each.tries > 1 ? html` <span class="faint">${counted(each.tries, "try", "tries")}</span>` : ""}</td></tr>`;
}
