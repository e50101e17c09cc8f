// The events of a run, read once for all tabs that tell of them, and heard from then on.
import { pagedFeed } from "./paged_feed.js";

/**
 * @typedef {object} RunEvent
 * @property {string} [child] of a group that began: the execution that it runs as
 * @property {string} id
 * @property {string} at
 * @property {string} kind
 * @property {string} [node]
 * @property {number} [attempt]
 * @property {number} [run]
 * @property {string} [mode]
 * @property {string} [by]
 * @property {string} [code]
 * @property {string} [reason]
 * @property {string} [explanation]
 * @property {string} [stage]
 * @property {string} [status]
 * @property {string} [said]
 * @property {number} [iteration]
 */

/** @type {WeakMap<object, import("./paged_feed.js").Feed<RunEvent>>} */
const feeds = new WeakMap();

/** @param {import("../run_store.js").RunStore} store */
export function eventsOf(store) {
  const found = feeds.get(store);
  if (found) return found;
  /** @type {import("./paged_feed.js").Feed<RunEvent>} */
  const feed = pagedFeed(`${store.path}/events`);
  feeds.set(store, feed);
  store.heard.add((/** @type {import("../../../app/live/live.js").LiveEvent[]} */ told) => {
    if (told.some(({ name }) => name === "fresh" || name === "cut")) feed.catchUp();
    feed.hear(told.filter(({ name }) => name === "event").map(({ data }) => data));
  });
  feed.read();
  return feed;
}
