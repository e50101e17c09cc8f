// The lines that nodes have logged and printed: those of a run, or of one node. Read once, then heard live.
import { useEffect, useMemo } from "../../../vendor/preact.js";
import { watch } from "../../../app/live/live.js";
import { pagedFeed } from "./paged_feed.js";

/** So many lines are kept in the page; the API keeps more. */
export const KEPT_LINES = 20_000;

/**
 * @typedef {object} LogLine
 * @property {string} id
 * @property {string} at
 * @property {string} node
 * @property {number} attempt
 * @property {string} source log, stdout or stderr
 * @property {string} message
 * @property {string} [level]
 * @property {Record<string, any>} [fields]
 * @property {number} [delivery]
 */

/**
 * @param {import("../run_store.js").RunStore} store
 * @param {string} [node] only its lines
 * @returns {import("./paged_feed.js").Feed<LogLine>}
 */
export function useLines(store, node) {
  /** @type {import("./paged_feed.js").Feed<LogLine>} */
  const feed = useMemo(() => pagedFeed(node === undefined ? `${store.path}/logs` : `${store.path}/nodes/${encodeURIComponent(node)}/logs`, { most: KEPT_LINES }), [store, node]);
  const over = store.isOver.value;
  useEffect(() => {
    feed.read();
    if (over) return feed.leave;
    const stop = watch(`${store.path}/events?from=now&logs=true`, {
      onEvents: (told) => {
        if (told.some(({ name }) => name === "cut")) feed.catchUp();
        feed.hear(told.filter(({ name, data }) => name === "line" && (node === undefined || data.node === node)).map(({ data }) => data));
      },
      onFresh: () => feed.catchUp(),
    });
    return () => { stop(); feed.leave(); };
  }, [feed, over]);
  return feed;
}

/** @type {Record<string, number>} */
const LEVELS = { debug: 0, info: 1, warning: 2, error: 3, critical: 4 };

/** @param {LogLine} line How loud it is: 0 (debug) to 4. What is printed counts as info, and to stderr as a warning. */
export const levelOf = (line) => (line.level === undefined ? (line.source === "stderr" ? 2 : 1) : LEVELS[line.level] ?? 1);

/** @param {LogLine} line Its fields as "key=value". */
export function fieldsOf(line) {
  return Object.entries(line.fields ?? {}).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(" ");
}

/** @param {LogLine} line As it is copied and saved. */
export function plainLine(line) {
  const about = `${line.node}${line.attempt > 1 ? `#${line.attempt}` : ""}`;
  return [line.at, about, line.level ?? line.source, line.message, fieldsOf(line)].filter(Boolean).join(" ");
}
