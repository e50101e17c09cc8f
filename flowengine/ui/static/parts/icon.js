// An icon of the sprite in index.html. Never alone: a word or a name stands beside it.
import { html } from "../vendor/preact.js";

/** @param {{name: string, large?: boolean}} props `name`: of a status, or find, theme, copy, left, right, x, warn */
export function Icon({ name, large }) {
  return html`<svg class=${large ? "i i-lg" : "i"} viewBox="0 0 16 16" aria-hidden="true"><use href=${`#i-${name}`} /></svg>`;
}
