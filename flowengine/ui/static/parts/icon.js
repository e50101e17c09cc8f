// An icon of the sprite in index.html. Never alone: a word or a name stands beside it.
import { html } from "../vendor/preact.js";

/** @param {{name: string, large?: boolean}} props `name`: of a status, or find, theme, copy, left, right, x, warn */
export function Icon({ name, large }) {
  return html`<svg class=${large ? "i i-lg" : "i"} viewBox="0 0 16 16" aria-hidden="true"><use href=${`#i-${name}`} /></svg>`;
}

const STEP_MS = 200;
const STEPS = 8;
let step = 0;

// The arc of running icons turns, in steps and in the sprite: an animation of CSS inside an SVG would have the
// browser draw the page anew for each frame, as long as anything runs.
setInterval(() => {
  if (document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  step = (step + 1) % STEPS;
  document.querySelector("#i-running .spin")?.setAttribute("transform", `rotate(${(step * 360) / STEPS} 8 8)`);
}, STEP_MS);
