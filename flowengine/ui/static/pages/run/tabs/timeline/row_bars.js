// The bars of one node.
import { html } from "../../../../vendor/preact.js";
import { FOLD_PX } from "./time_scale.js";

const LEAST = 2;
const CHAR_PX = 6;
/** The height of a row, in px. */
export const ROW = 25;

/**
 * @typedef {import("./time_rows.js").TimeRow} TimeRow
 * @typedef {import("./time_scale.js").Scale} Scale
 * @typedef {{x: number, end: number}} Extent
 */

/**
 * Where the bars of a row, and what is written beside them, lie.
 * @param {TimeRow} row
 * @param {Scale} scale
 * @param {number} now
 * @param {number} width
 */
export function extentOf(row, scale, now, width) {
  const first = row.spans[0];
  const last = row.spans.at(-1);
  if (!first || !last) return { x: width, end: width, note: "end", noteX: Math.min(width, scale.x(now)) - 8 };
  const x = scale.x(first.from);
  const end = Math.max(x + LEAST, scale.x(last.to ?? now)) + (last.kind === "moment" ? 5 : 0);
  const room = row.note.length * CHAR_PX + 12;
  const bands = scale.folds.map((fold) => fold.x);
  const next = Math.min(width, ...bands.filter((band) => band >= end - 2));
  if (end + room <= next) return { x, end: end + room, note: "start", noteX: end + 6 };
  // No room on either side: behind the band.
  if (x - room < 0) {
    const noteX = (next < width && next - end < room ? next + FOLD_PX : end) + 6;
    return { x, end: Math.min(width, noteX + room), note: "start", noteX };
  }
  return { x: x - room, end, note: "end", noteX: x - 6 };
}

/** @param {{row: TimeRow, scale: Scale, now: number, width: number}} props */
export function RowBars({ row, scale, now, width }) {
  const { note, noteX } = extentOf(row, scale, now, width);
  return html`<svg class="time-bars" width=${width} height=${ROW} aria-hidden="true">
    ${row.spans.map((span, index) => {
      const x = scale.x(span.from);
      const wide = Math.max(LEAST, scale.x(span.to ?? now) - x);
      return html`<g key=${index} data-span=${index}>${bar(span, x, wide)}
        <rect class="touch" x=${x - 2} y="1" width=${Math.max(8, wide + 4)} height=${ROW - 2} /></g>`;
    })}
    <text class="note" x=${noteX.toFixed(1)} y="16.5" text-anchor=${note}>${row.note.length > 60 ? `${row.note.slice(0, 59)}…` : row.note}</text></svg>`;
}

/**
 * @param {import("../../history/attempt_log.js").Span} span
 * @param {number} x
 * @param {number} wide
 */
export function bar(span, x, wide) {
  const [left, width] = [x.toFixed(1), wide.toFixed(1)];
  switch (span.kind) {
    case "queued": return html`<rect class="q" x=${left} y="9.5" width=${width} height="6" />`;
    case "backoff": return html`<path class="off" d=${`M${left} 12.5h${width}`} />`;
    case "wait": return html`<rect x=${left} y="7.5" width=${width} height="10" fill="url(#hatch)" /><rect class="hatch-box" x=${left} y="7.5" width=${width} height="10" />`;
    case "moment": return html`<path class=${`moment is-${span.outcome}`} d=${`M${left} 8.5l4 4-4 4-4-4z`} />`;
    default: return runBar(span, x, wide);
  }
}

/**
 * @param {import("../../history/attempt_log.js").Span} span
 * @param {number} x
 * @param {number} wide
 */
function runBar(span, x, wide) {
  if (span.outcome === "retried" || span.outcome === "returned") {
    const cross = x + Math.min(wide - 8, Math.max(0, wide - 9));
    return html`<rect class=${span.outcome} x=${(x + 0.5).toFixed(1)} y="7" width=${Math.max(1, wide - 1).toFixed(1)} height="11" rx="1.5" />
      ${wide > 14 && span.outcome === "retried" && html`<path class="cross" d=${`M${cross.toFixed(1)} 9.5l6 6m0-6-6 6`} />`}`;
  }
  return html`<rect class=${`is-${span.outcome ?? "running"} fill`} x=${x.toFixed(1)} y="6.5" width=${wide.toFixed(1)} height="12" rx="1.5" />`;
}
