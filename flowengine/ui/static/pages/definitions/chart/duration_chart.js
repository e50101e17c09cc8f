// A dot a run, in the order in which they began: how long it took, and how it ended. The table below says the same.
import { html } from "../../../vendor/preact.js";
import { counted, duration } from "../../../app/format.js";
import { navigate, runAddress } from "../../../app/router.js";
import { lookOf, wordOf } from "../../../parts/status.js";
import { medianOf, roundWords, timeAxis } from "./time_axis.js";

/** @typedef {{id: string, version: number, status: string, startedAt: string, took: number, isOver: boolean}} Dot */
/** @typedef {{version: number, from: number, to: number, median: number}} Span */

const WIDE = 900;
const LEFT = 54;
const TOP = 24;
const GROUND = 134;
const MOST_DATES = 6;
const LABEL_PX = 62;
const DAY_NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** @param {{runs: Dot[]}} props the oldest first */
export function DurationChart({ runs }) {
  const axis = timeAxis(runs.map((run) => run.took));
  const x = (/** @type {number} */ place) => LEFT + 14 + ((WIDE - LEFT - 28) * place) / Math.max(1, runs.length - 1);
  const y = (/** @type {number} */ ms) => GROUND - (GROUND - TOP) * Math.min(1, axis.share(ms));
  const spans = spansOf(runs);
  return html`<svg class="dots" viewBox=${`0 0 ${WIDE} 158`} role="img" aria-label=${said(runs, spans)}>
    ${axis.marks.map((mark) => html`<g key=${mark}><path class="rule" d=${`M${LEFT} ${y(mark).toFixed(1)}H${WIDE}`}/>
      <text x=${LEFT - 6} y=${(y(mark) + 4).toFixed(1)} text-anchor="end">${roundWords(mark)}</text></g>`)}
    ${spans.map((span, index) => html`<${SpanLines} key=${span.from} span=${span} x=${x} y=${y} named=${isRoom(spans, index, x)} />`)}
    ${dates(runs).map(({ place, words }) => html`<text key=${place} x=${x(place).toFixed(1)} y="152" text-anchor=${place === runs.length - 1 ? "end" : "middle"}>${words}</text>`)}
    ${runs.map((run, place) => html`<${RunDot} key=${run.id} run=${run} x=${x(place)} y=${y(run.took)} />`)}
    ${axis.isLog && html`<text x=${WIDE} y="12" text-anchor="end">each line is several times the one below</text>`}</svg>`;
}

/** @param {{run: Dot, x: number, y: number}} props */
function RunDot({ run, x, y }) {
  const look = lookOf(run.status);
  const about = `${dateWords(run.startedAt)}, version ${run.version}: ${wordOf(run.status).toLowerCase()}, ${duration(run.took)}`;
  return html`<g class=${`dot is-${look}`} onClick=${() => navigate(runAddress(run.id))}><title>${about}</title>
    <circle class="under-dot" cx=${x.toFixed(1)} cy=${y.toFixed(1)} r="7" />
    ${look === "completed" ? html`<circle class="fill" cx=${x.toFixed(1)} cy=${y.toFixed(1)} r="3.5" />`
      : html`<use href=${`#i-${look}`} x=${(x - 6).toFixed(1)} y=${(y - 6).toFixed(1)} width="12" height="12" />`}</g>`;
}

/** @param {{span: Span, x: (place: number) => number, y: (ms: number) => number, named: boolean}} props */
function SpanLines({ span, x, y, named }) {
  const left = x(span.from) - 8;
  return html`<path class="verline" d=${`M${left.toFixed(1)} ${TOP - 8}V${GROUND}`}/>
    ${named && html`<text x=${(left + 4).toFixed(1)} y="12">version ${span.version}</text>`}
    ${Number.isFinite(span.median) && html`<path class="median" d=${`M${left.toFixed(1)} ${y(span.median).toFixed(1)}H${(x(span.to) + 8).toFixed(1)}`}/>`}`;
}

/** @param {Dot[]} runs Runs of one version after each other. @returns {Span[]} */
function spansOf(runs) {
  /** @type {{version: number, from: number, to: number, took: number[]}[]} */
  const spans = [];
  runs.forEach((run, place) => {
    const last = spans.at(-1);
    const span = last?.version === run.version ? last : { version: run.version, from: place, to: place, took: /** @type {number[]} */ ([]) };
    if (span !== last) spans.push(span);
    span.to = place;
    if (run.status === "completed") span.took.push(run.took);
  });
  return spans.map(({ took, ...span }) => ({ ...span, median: took.length > 1 ? medianOf(took) : NaN }));
}

/** @param {Span[]} spans @param {number} index @param {(place: number) => number} x Whether its name does not run into the next one's. */
function isRoom(spans, index, x) {
  const end = spans[index + 1] ? x(spans[index + 1].from) : WIDE;
  return end - x(spans[index].from) > LABEL_PX;
}

/** @param {Dot[]} runs The first run of a day, as far as there is room. */
function dates(runs) {
  const days = runs.map((run, place) => ({ place, words: dateWords(run.startedAt).split(",")[0] }))
    .filter(({ place, words }) => place === 0 || words !== dateWords(runs[place - 1].startedAt).split(",")[0]);
  if (days.length < 2) return [0, runs.length - 1].map((place) => ({ place, words: runs[place].startedAt.slice(11, 16) }));
  const every = Math.ceil(days.length / MOST_DATES);
  const least = runs.length / 12;
  return days.filter((_, index) => index % every === 0).filter((each, index, all) => index === 0 || each.place - all[index - 1].place >= least);
}

/** @param {string} moment "28 Nov, 06:35 UTC" */
function dateWords(moment) {
  return `${Number(moment.slice(8, 10))} ${DAY_NAMES[Number(moment.slice(5, 7)) - 1]}, ${moment.slice(11, 16)} UTC`;
}

/** @param {Dot[]} runs @param {Span[]} spans */
function said(runs, spans) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { status } of runs) counts.set(status, (counts.get(status) ?? 0) + 1);
  const outcomes = [...counts].map(([status, count]) => `${count} ${wordOf(status).toLowerCase()}`).join(", ");
  const medians = spans.filter((span) => Number.isFinite(span.median)).map((span) => `${duration(span.median)} in version ${span.version}`).join(", ");
  return `How long each of the last ${counted(runs.length, "run")} took: ${outcomes}${medians ? `; median ${medians}` : ""}`;
}
