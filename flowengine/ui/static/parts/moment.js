// A time, as long ago, with the exact time on hover.
import { html } from "../vendor/preact.js";
import { now } from "../app/clock.js";
import { ago, at, duration, exact } from "../app/format.js";

/** @param {{at: string | null | undefined}} props */
export function Ago({ at: moment }) {
  if (!moment) return html`<span>–</span>`;
  return html`<time datetime=${moment} title=${exact(moment)}>${ago(now.value - at(moment))}</time>`;
}

/**
 * How long something took, or has taken so far.
 * @param {{from: string | null | undefined, to: string | null | undefined}} props
 */
export function Took({ from, to }) {
  if (!from) return html`<span>–</span>`;
  return html`<span>${duration((to ? at(to) : now.value) - at(from))}</span>`;
}
