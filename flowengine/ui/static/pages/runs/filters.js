// What the list is narrowed to. The address keeps it: ?q=...&status=...&label=NAME:VALUE&period=24h&cursor=...
import { exactNow } from "../../app/clock.js";
import { computed } from "../../vendor/preact.js";
import { query, setQuery } from "../../app/router.js";

/**
 * @typedef {object} Filters
 * @property {string} q the beginning of an id or a name
 * @property {string[]} statuses one of them; none: all
 * @property {string[]} labels each NAME:VALUE; all of them
 * @property {string} period a key of PERIODS
 * @property {string} cursor where an older page begins; "" for the newest
 */

const HOUR_MS = 3_600_000;

/** @type {Record<string, {name: string, ms: number}>} */
export const PERIODS = {
  "1h": { name: "Last hour", ms: HOUR_MS },
  "24h": { name: "Last 24 hours", ms: 24 * HOUR_MS },
  "7d": { name: "Last 7 days", ms: 168 * HOUR_MS },
  "": { name: "All times", ms: 0 },
};

export const filters = computed(() => {
  const asked = query.value;
  const period = asked.get("period") ?? "";
  return /** @type {Filters} */ ({
    q: asked.get("q") ?? "",
    statuses: asked.getAll("status"),
    labels: asked.getAll("label"),
    period: Object.hasOwn(PERIODS, period) ? period : "",
    cursor: asked.get("cursor") ?? "",
  });
});

/** @param {Filters} wanted Whether it hides any run. */
export const narrows = ({ q, statuses, labels, period }) => Boolean(q || statuses.length || labels.length || period);

/** @param {Filters} wanted Whether it hides runs for another reason than their status. */
export const narrowsMore = (wanted) => narrows({ ...wanted, statuses: [] });

/**
 * As the API takes it, in a query and in the filter of an action on many alike.
 * @param {Filters} wanted
 * @returns {Record<string, string | string[]>} without what is empty
 */
export function asked({ q, statuses, labels, period }) {
  const after = PERIODS[period].ms ? new Date(exactNow() - PERIODS[period].ms).toISOString() : "";
  const all = { q, status: statuses, label: labels, created_after: after };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value.length));
}

/** @param {Record<string, string | string[]>} changes Narrow it otherwise, from the newest page on. */
export function narrow(changes) {
  setQuery({ ...changes, cursor: "" });
}

/** @param {string} status Show runs of this status, or no longer; "" shows all. */
export function toggleStatus(status) {
  const { statuses } = filters.value;
  if (!status) narrow({ status: [] });
  else narrow({ status: statuses.includes(status) ? statuses.filter((each) => each !== status) : [...statuses, status] });
}

/** @param {string} label NAME:VALUE */
export function addLabel(label) {
  if (!filters.value.labels.includes(label)) narrow({ label: [...filters.value.labels, label] });
}

/** @param {string} label */
export function dropLabel(label) {
  narrow({ label: filters.value.labels.filter((each) => each !== label) });
}

export function clearFilters() {
  narrow({ q: "", status: [], label: [], period: "" });
}

/**
 * What is typed into the search: a word that reads `label=NAME:VALUE` is a label, the rest is `q`.
 * @param {string} text
 */
export function readSearch(text) {
  const words = text.trim().split(/\s+/);
  const labels = words.filter((word) => /^label=[^:]+:./.test(word)).map((word) => word.slice("label=".length));
  const q = labels.length ? words.filter((word) => !/^label=[^:]+:./.test(word)).join(" ") : text.trim();
  return { q, labels };
}
