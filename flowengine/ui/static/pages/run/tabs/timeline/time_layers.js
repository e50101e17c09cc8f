// What lies behind and over the rows of the timeline: the axis, the grid, folded time, now.
import { html } from "../../../../vendor/preact.js";
import { duration } from "../../../../app/format.js";
import { placed } from "../../../../parts/virtual_rows.js";
import { clockText, FOLD_PX } from "./time_scale.js";

/** @param {number} room in px: the width of the names. */
export const namesWidth = (room) => (room < 560 ? 128 : 206);

/**
 * @typedef {import("./time_scale.js").Scale} Scale
 * @typedef {{scale: Scale, width: number, height: number, now: number | null, runs: {run: number, at: number}[]}} LayerProps
 */

/** @param {{scale: Scale, width: number, now: number | null, said: string}} props `said`: of a bar, where no place beside it is free */
export function Axis({ scale, width, now, said }) {
  const nowX = now === null ? -99 : scale.x(now);
  return html`<div class="time-axis" aria-hidden="true"><span class="time-name faint">UTC</span><svg width=${width} height="28">
    ${scale.ticks.filter(({ x }) => Math.abs(x - nowX) > 46).map(({ at, x, text }) => html`<text key=${at} x=${x.toFixed(1)} y="18"
      text-anchor=${x < 20 ? "start" : x > width - 20 ? "end" : "middle"}>${text}</text>`)}
    ${now !== null && html`<text class="nowtext" x=${nowX.toFixed(1)} y="18" text-anchor=${nowX > width - 30 ? "end" : "middle"}>${clockText(now, 1000)}</text>`}</svg>
    ${said && html`<div class="tip docked"><bdi>${said}</bdi></div>`}</div>`;
}

/** @param {LayerProps} props */
export function Grid({ scale, width, height, runs }) {
  return html`<svg class="time-grid" width=${width} height=${height} aria-hidden="true">
    ${scale.ticks.map(({ at, x }) => html`<path key=${at} class="gridline" d=${`M${Math.round(x) + 0.5} 0V${height}`} />`)}
    ${runs.filter(({ run }) => run > 1).map(({ run, at }) => html`<g key=${`run${run}`}><path class="runline" d=${`M${scale.x(at).toFixed(1)} 0V${height}`} />
      <text class="runtext" x=${(scale.x(at) + 4).toFixed(1)} y="10">run ${run}</text></g>`)}</svg>`;
}

/** @param {LayerProps & {names: number, unfold: (fold: import("./time_scale.js").Piece) => void}} props */
export function Folds({ scale, width, height, now, names, unfold }) {
  return html`${scale.folds.map((fold) => html`<button key=${fold.from} type="button" class="fold" ref=${placed({ left: names + fold.x, width: FOLD_PX, height })}
      onClick=${() => unfold(fold)}><svg width=${FOLD_PX + 8} height=${height} aria-hidden="true"><rect class="fold-band" x="4" width=${FOLD_PX} height=${height} />
      <rect width="8" height=${height} fill="url(#jag)" /><rect width="8" height=${height} fill="url(#jag)" transform=${`translate(${FOLD_PX})`} /></svg>
    <span>nothing ran for ${duration(fold.idle).replace(/\.\d s$/, " s")}: unfold</span></button>`)}
    ${now !== null && html`<svg class="time-now" width=${width} height=${height} aria-hidden="true"><path class="nowline" d=${`M${scale.x(now).toFixed(1)} 0V${height}`} /></svg>`}`;
}

/** Patterns that bars are filled with. */
export function Patterns() {
  return html`<svg class="unseen" width="0" height="0" aria-hidden="true"><defs>
    <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch-bg" width="6" height="6" /><path class="hatch-lines" d="M1 0v6" /></pattern>
    <pattern id="jag" width="8" height="12" patternUnits="userSpaceOnUse"><path class="fold-edge" d="M1 0l6 6-6 6" /></pattern></defs></svg>`;
}

export function Legend() {
  return html`<span class="keys hide-s" aria-hidden="true">
    <span class="key"><svg viewBox="0 0 22 10"><rect class="q" x="1" y="2" width="20" height="6" /></svg>in queue</span>
    <span class="key"><svg viewBox="0 0 22 10"><rect class="is-completed fill" x="1" width="20" height="10" /></svg>ran</span>
    <span class="key"><svg viewBox="0 0 22 10"><rect class="is-failed fill" x="1" width="20" height="10" /></svg>failed</span>
    <span class="key"><svg viewBox="0 0 22 10"><rect class="retried" x="1.5" y=".5" width="19" height="9" /></svg>failed, tried again</span>
    <span class="key"><svg viewBox="0 0 22 10"><path class="off" d="M1 5H21" /></svg>back-off</span>
    <span class="key"><svg viewBox="0 0 22 10"><rect x="1" width="20" height="10" fill="url(#hatch)" /><rect class="hatch-box" x="1" y=".5" width="20" height="9" /></svg>waits for an answer</span>
    <span class="key"><svg viewBox="0 0 22 10"><path class="moment" d="M11 1l4 4-4 4-4-4z" /></svg>not run</span></span>`;
}
