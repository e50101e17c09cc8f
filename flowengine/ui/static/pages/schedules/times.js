// Times to come, and what became of those that have passed.
import { html } from "../../vendor/preact.js";
import { now } from "../../app/clock.js";
import { at, duration, exact } from "../../app/format.js";
import { runAddress } from "../../app/router.js";
import { Icon } from "../../parts/icon.js";
import { outcomeOf } from "./schedule.js";

/** @typedef {import("./schedule.js").Schedule} Schedule */
/** @typedef {import("./schedule.js").Outcome} Outcome */

/** @param {{schedule: Schedule, alone?: boolean}} props The next time; not `alone`: and the one after it. */
export function NextTime({ schedule, alone }) {
  const [next, ...later] = schedule.next_times;
  if (schedule.status === "paused") return html`<span class="status is-paused"><${Icon} name="paused" />Paused</span>`;
  if (!next) return html`<span class="faint">never again</span>`;
  const left = at(next) - now.value;
  return html`<time datetime=${next} title=${[next, ...later].map(exact).join("\n")}>${left > 0 ? `in ${duration(left)}` : "now"}</time>
    <span class="under">${shortTime(next)}${!alone && later.length > 0 && `, then ${shortTime(later[0])}`}</span>`;
}

/** @param {string} moment "2026-12-01 01:00 UTC" */
export const shortTime = (moment) => `${moment.slice(0, 10)} ${moment.slice(11, 16)} UTC`;

/** @param {{last: Outcome[]}} props The newest outcomes, the newest on the right; each leads to its run. */
export function LastOutcomes({ last }) {
  if (!last.length) return html`<span class="faint">none yet</span>`;
  const [newest] = last;
  return html`<span class="outcomes">${[...last].reverse().map((each) => html`<${Mark} key=${`${each.at} ${each.outcome}`} each=${each} />`)}
    <span class="small quiet">${outcomeOf(newest.outcome).word.split(":")[0]}${newest.code ? html` <code>${newest.code}</code>` : ""}</span></span>`;
}

/** @param {{each: Outcome}} props */
function Mark({ each }) {
  const { word, icon, look } = outcomeOf(each.outcome);
  const about = `${word}, planned for ${shortTime(each.scheduled_at)}${each.by ? ", started by hand" : ""}`;
  const mark = html`<span class=${`is-${look}`}><${Icon} name=${icon} /></span><span class="unseen">${about}</span>`;
  return each.execution_id ? html`<a href=${runAddress(each.execution_id)} title=${about}>${mark}</a>` : html`<span title=${each.message ?? about}>${mark}</span>`;
}
