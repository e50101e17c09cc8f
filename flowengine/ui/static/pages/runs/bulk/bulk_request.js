// One action on many runs: begun, then followed to its end. A dry run only counts.
import { signal } from "../../../vendor/preact.js";
import { get, post } from "../../../app/api.js";

/** @typedef {import("./actions.js").Bulk} Bulk */
/** @typedef {{ids: string[]} | {filter: Record<string, string | string[]>}} Target */

const FIRST_PAUSE_MS = 150;
const LONGEST_PAUSE_MS = 1500;

/** What is being done, or was done last: shown until it is closed. */
export const underWay = signal(/** @type {{bulk: Bulk | null, problem: any} | null} */ (null));

/**
 * Begin it and follow it to its end.
 * @param {string} action
 * @param {Target} target
 * @param {{dryRun: boolean, reason?: string, onProgress: (bulk: Bulk) => void, signal?: AbortSignal}} how
 * @returns {Promise<Bulk>}
 */
export async function actOnMany(action, target, { dryRun, reason, onProgress, signal: until }) {
  const body = { action, ...target, dry_run: dryRun, ...(reason ? { reason } : {}) };
  let bulk = /** @type {Bulk} */ (await post("/workflows/bulk", body, { signal: until }));
  let pause = FIRST_PAUSE_MS;
  while (bulk.status !== "finished") {
    onProgress(bulk);
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(LONGEST_PAUSE_MS, pause * 1.5);
    bulk = await get(`/workflows/bulk/${encodeURIComponent(bulk.bulk_id)}`, { signal: until });
  }
  onProgress(bulk);
  return bulk;
}

/**
 * Do it, beside the page: `underWay` says how far it is.
 * @param {string} action
 * @param {Target} target
 * @param {string} reason
 */
export async function perform(action, target, reason) {
  underWay.value = { bulk: null, problem: null };
  try {
    await actOnMany(action, target, { dryRun: false, reason, onProgress: (bulk) => { underWay.value = { bulk, problem: null }; } });
  } catch (problem) {
    underWay.value = { bulk: underWay.value?.bulk ?? null, problem };
  }
}
