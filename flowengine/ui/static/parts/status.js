// A status: icon, word and colour, always together.
import { html } from "../vendor/preact.js";
import { Icon } from "./icon.js";

/**
 * The word of each status, and the class that colours it.
 * @type {Record<string, {word: string, look: string}>}
 */
export const STATUSES = {
  pending: { word: "Pending", look: "pending" },
  queued: { word: "Queued", look: "queued" },
  running: { word: "Running", look: "running" },
  waiting: { word: "Waiting", look: "waiting" },
  paused: { word: "Paused", look: "paused" },
  cancelling: { word: "Cancelling", look: "running" },
  completed: { word: "Completed", look: "completed" },
  failed: { word: "Failed", look: "failed" },
  skipped: { word: "Skipped", look: "skipped" },
  cancelled: { word: "Cancelled", look: "cancelled" },
  deleted: { word: "Deleted", look: "cancelled" },
};

/** @param {string} status The look of a status, for the class `is-X` and the icon. */
export const lookOf = (status) => STATUSES[status]?.look ?? "pending";

/** @param {string} status */
export const wordOf = (status) => STATUSES[status]?.word ?? status;

/** @param {{status: string, word?: string}} props */
export function Status({ status, word }) {
  const look = lookOf(status);
  return html`<span class=${`status is-${look}`}><${Icon} name=${look} />${word ?? wordOf(status)}</span>`;
}
