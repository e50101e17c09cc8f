// The time, as the page counts it: one tick a second for everything that says how long ago.
import { signal } from "../vendor/preact.js";

/** The API's clock minus this browser's, in ms. */
let offset = 0;
/** The largest difference seen: the others are smaller by the time that they were on their way. */
let nearest = -Infinity;

/** Now by the API's clock, in ms since the epoch; moves once a second while the page is seen. */
export const now = signal(Date.now());

/** @param {string | null | undefined} moment A time that the API has just told as its own. */
export function learnClock(moment) {
  const told = moment ? Date.parse(moment) : NaN;
  if (!Number.isFinite(told) || told - Date.now() <= nearest) return;
  nearest = told - Date.now();
  offset = nearest;
}

/** Now by the API's clock, exactly, in ms. */
export const exactNow = () => Date.now() + offset;

setInterval(() => { if (!document.hidden) now.value = exactNow(); }, 1000);
document.addEventListener("visibilitychange", () => { now.value = exactNow(); });
