// How many runs there are by status, and how they have ended by the hour. Asked for again as runs change.
import { signal } from "../../vendor/preact.js";
import { get } from "../../app/api.js";
import { learnClock } from "../../app/clock.js";
import { watch } from "../../app/live/live.js";
import { paced } from "./paced.js";

const PACE_MS = 2000;
const AT_LEAST_EVERY_MS = 60_000;

/**
 * @typedef {{begins_at: string, completed: number, failed: number, cancelled: number}} Hour
 * @typedef {{executions: Record<string, number>, hours: Hour[]}} Stats
 */

/** The last answer; null until there is one. It stays while the list is left and come back to. */
export const stats = signal(/** @type {Stats | null} */ (null));

/** @param {Stats} known How many runs are kept. */
export const keptRuns = (known) => Object.values(known.executions).reduce((sum, each) => sum + each, 0);

/** Watch them; what it returns stops that. */
export function watchStats() {
  const again = paced(async () => {
    if (document.hidden) return;
    try {
      const answer = await get("/stats");
      learnClock(answer.at);
      stats.value = answer;
    } catch { /* what is shown stays; the list says what is wrong */ }
  }, PACE_MS);
  again.soon();
  const stop = watch("/events", { onEvents: again.soon, onFresh: again.soon });
  const timer = setInterval(again.soon, AT_LEAST_EVERY_MS);
  document.addEventListener("visibilitychange", again.soon);
  return () => {
    stop();
    again.stop();
    clearInterval(timer);
    document.removeEventListener("visibilitychange", again.soon);
  };
}
