// The last 24 hours, a bar an hour: how many runs ended, and how.
import { html } from "../../vendor/preact.js";
import { number } from "../../app/format.js";
import { stats } from "./stats_store.js";

/** @typedef {import("./stats_store.js").Hour} Hour */

const WIDE = 22;
const HIGH = 48;
const ROOM = 39;
/** From the ground up: what went wrong stands on the line, where it is seen. */
const LEVELS = [
  { outcome: "failed", least: 3, look: "is-failed fill" },
  { outcome: "cancelled", least: 2, look: "is-cancelled fill" },
  { outcome: "completed", least: 1, look: "is-completed fill calm" },
];

export function DayBars() {
  const hours = stats.value?.hours;
  if (!hours?.length) return null;
  const most = Math.max(1, ...hours.map(ended));
  return html`<svg class="chart" viewBox=${`0 0 ${WIDE * hours.length} 64`} preserveAspectRatio="xMaxYMax meet" role="img" aria-label=${said(hours)}>
    <text x="2" y="61">UTC</text>
    ${hours.map((hour, place) => html`<${Bar} key=${hour.begins_at} hour=${hour} x=${place * WIDE} most=${most} />`)}
    <path class="rule" d=${`M0 ${HIGH + 0.5}H${WIDE * hours.length}`}/></svg>`;
}

/** @param {{hour: Hour, x: number, most: number}} props */
function Bar({ hour, x, most }) {
  let y = HIGH;
  const levels = LEVELS.filter(({ outcome }) => countOf(hour, outcome)).map(({ outcome, least, look }) => {
    const high = Math.max(least, (ROOM * countOf(hour, outcome)) / most);
    y -= high;
    const bar = html`<rect class=${look} x=${x + 2} y=${y.toFixed(1)} width=${WIDE - 4} height=${high.toFixed(1)} />`;
    y -= 1;
    return bar;
  });
  const begins = hour.begins_at.slice(11, 13);
  return html`<g><title>${begins}:00 to ${begins}:59 UTC: ${outcomes(hour)}</title>
    <rect x=${x} y="0" width=${WIDE} height=${HIGH} fill="none" pointer-events="all" />${levels}
    ${Number(begins) % 3 === 0 && x > WIDE && html`<text x=${x + WIDE / 2} y="61" text-anchor="middle">${begins}</text>`}</g>`;
}

/** @param {Hour} hour @param {string} outcome */
const countOf = (hour, outcome) => /** @type {any} */ (hour)[outcome] || 0;

/** @param {Hour} hour */
const ended = (hour) => hour.completed + hour.failed + hour.cancelled;

/** @param {Hour} hour */
const outcomes = (hour) => `${number(hour.completed)} completed, ${number(hour.failed)} failed, ${number(hour.cancelled)} cancelled`;

/** @param {Hour[]} hours */
function said(hours) {
  const all = { begins_at: "", completed: 0, failed: 0, cancelled: 0 };
  let worst = hours[0];
  for (const hour of hours) {
    all.completed += hour.completed;
    all.failed += hour.failed;
    all.cancelled += hour.cancelled;
    if (hour.failed > worst.failed) worst = hour;
  }
  const when = worst.failed ? `; most failures, ${number(worst.failed)}, in the hour from ${worst.begins_at.slice(11, 16)} UTC` : "";
  return `Runs of the last 24 hours by outcome: ${outcomes(all)}${when}`;
}
