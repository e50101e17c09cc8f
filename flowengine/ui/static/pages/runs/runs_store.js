// The list as the page knows it: a page of rows, each a signal of its own; and how many more have come since.
// What happens is told by the stream of all executions; rows that it names are asked for together, once a second.
import { batch, computed, effect, signal } from "../../vendor/preact.js";
import { get, reached, withQuery } from "../../app/api.js";
import { watch } from "../../app/live/live.js";
import { asked } from "./filters.js";
import { paced } from "./paced.js";

/**
 * @typedef {object} Row as `GET /workflows` lists it
 * @property {string} execution_id
 * @property {string} name
 * @property {number | null} version
 * @property {string} status
 * @property {{kind: string} | null} trigger
 * @property {{kind: string, node: string, until: string, key?: string} | null} waiting_for
 * @property {number} run
 * @property {{total: number, unfinished: number, failed: number}} counts
 * @property {{code: string, node: string | null, message: string} | null} error
 * @property {Record<string, string>} labels
 * @property {string} created_at
 * @property {string | null} started_at
 * @property {string | null} finished_at
 * @typedef {import("../../vendor/preact.js").Signal<Row>} RowSignal
 * @typedef {import("./filters.js").Filters} Filters
 */

export const PAGE_ROWS = 50;
const MOST_ROWS = 500;
/** A page may be short and go on: so many are asked for in a row to fill one. */
const MOST_PAGES = 5;
const PACE_MS = 1000;
/** How far a run is, no stream of all tells: while one that is shown runs, the page is asked for this often. */
const PROGRESS_MS = 3000;
const LIVE = new Set(["running", "cancelling"]);
const isReached = computed(() => reached.value.ok);

export function runsStore() {
  /** The ids that are shown, in their order; null until they are known. */
  const order = signal(/** @type {string[] | null} */ (null));
  /** @type {Map<string, RowSignal>} */
  const rows = new Map();
  const next = signal(/** @type {string | null} */ (null));
  const problem = signal(/** @type {any} */ (null));
  /** Rows that have come since, newest first; they are not shown before someone asks. */
  const newer = signal(/** @type {Row[]} */ ([]));
  const loading = signal(false);
  /** @type {Filters | null} */
  let wanted = null;
  let turn = 0;
  let timer = 0;
  /** Whether something happened while a page was being read. */
  let missed = false;
  const refresh = paced(catchUp, PACE_MS);

  /** @param {Filters} filters Whether this is what is shown. */
  const shows = (filters) => order.peek() !== null && JSON.stringify(filters) === JSON.stringify(wanted);

  /** @param {Filters} filters Show this page of this list; one that is known already stays in its place. */
  function open(filters) {
    if (shows(filters)) refresh.soon();
    else load(filters);
  }

  /** @param {Filters} filters */
  async function load(filters) {
    const mine = ++turn;
    wanted = filters;
    loading.value = true;
    missed = false;
    refresh.began();
    try {
      const page = await readPage(filters);
      if (mine !== turn) return;
      batch(() => {
        show(page.items);
        next.value = page.next_cursor;
        problem.value = null;
      });
    } catch (error) {
      if (mine === turn) problem.value = error;
    }
    if (mine !== turn) return;
    loading.value = false;
    if (missed) refresh.soon();
  }

  /** @param {Row[]} items */
  function show(items) {
    for (const row of items) put(row);
    const ids = items.map((row) => row.execution_id);
    order.value = ids;
    newer.value = [];
    const kept = new Set(ids);
    for (const id of rows.keys()) if (!kept.has(id)) rows.delete(id);
  }

  /** @param {Row} row */
  function put(row) {
    const known = rows.get(row.execution_id);
    if (!known) rows.set(row.execution_id, signal(row));
    else if (JSON.stringify(known.peek()) !== JSON.stringify(row)) known.value = row;
  }

  /** Ask for the page again: rows that are shown change in their places, others wait. */
  async function catchUp() {
    const filters = wanted;
    if (!filters || document.hidden) return;
    if (loading.peek()) {
      missed = true;
      return;
    }
    if (!order.peek()) return load(filters);
    const mine = turn;
    // Of an empty list this is a page: it is shown as it comes.
    const limit = Math.min(MOST_ROWS, Math.max(PAGE_ROWS, (order.peek() ?? []).length + newer.peek().length + 10));
    /** @type {{items: Row[], next_cursor: string | null}} */
    let page;
    try {
      page = await get(withQuery("/workflows", { ...asked(filters), cursor: filters.cursor, limit }));
    } catch (error) {
      // What is shown stays; the frame says that the API is not there, and when it is back the stream tells.
      if (mine === turn && /** @type {any} */ (error).status) problem.value = error;
      return;
    }
    if (mine !== turn) return;
    batch(() => {
      problem.value = null;
      if (!order.peek()?.length) {
        show(page.items);
        next.value = page.next_cursor;
        return;
      }
      for (const row of page.items) if (rows.has(row.execution_id)) put(row);
      const last = order.peek()?.at(-1) ?? "";
      if (!filters.cursor) newer.value = page.items.filter((row) => row.execution_id > last && !rows.has(row.execution_id));
    });
  }

  /** @param {import("../../app/live/live.js").LiveEvent[]} events */
  function take(events) {
    let news = false;
    batch(() => {
      for (const { data } of events) {
        const row = rows.get(data.execution_id);
        if (row) told(row, data);
        news ||= Boolean(row) || !wanted?.cursor;
      }
    });
    if (news) refresh.soon();
  }

  /**
   * The rest is asked for soon. Of a row that no longer matches the filter this is all that will be known.
   * @param {RowSignal} row
   * @param {{status: string, run: number, at: string}} change
   */
  function told(row, change) {
    const before = row.peek();
    if (before.run > change.run || (before.status === change.status && before.run === change.run)) return;
    const ended = ["completed", "failed", "cancelled"].includes(change.status);
    row.value = { ...before, status: change.status, run: change.run, finished_at: ended ? change.at : null };
  }

  function start() {
    const stop = watch("/events", { onEvents: take, onFresh: refresh.soon });
    timer = setInterval(() => {
      if (order.peek()?.some((id) => LIVE.has(rows.get(id)?.peek().status ?? ""))) refresh.soon();
    }, PROGRESS_MS);
    const seen = () => { if (!document.hidden) refresh.soon(); };
    document.addEventListener("visibilitychange", seen);
    const unwatch = effect(() => { if (isReached.value) refresh.soon(); });
    return () => {
      stop();
      unwatch();
      clearInterval(timer);
      refresh.stop();
      document.removeEventListener("visibilitychange", seen);
    };
  }

  return {
    order, next, problem, newer, loading, open, start,
    /** @param {Filters} filters Show nothing rather than another list. */
    forgetUnless(filters) { if (!shows(filters)) order.value = null; },
    /** @param {string} id */
    row: (id) => rows.get(id),
    again: () => { if (wanted) load(wanted); },
    refresh: refresh.soon,
    shown: computed(() => order.value?.length ?? 0),
  };
}

/** @typedef {ReturnType<typeof runsStore>} RunsStore */

/**
 * A page with as many rows as it holds, as long as few requests find them.
 * @param {Filters} filters
 * @returns {Promise<{items: Row[], next_cursor: string | null}>}
 */
async function readPage(filters) {
  /** @type {Row[]} */
  const items = [];
  let cursor = /** @type {string | null} */ (filters.cursor);
  for (let read = 0; read < MOST_PAGES; read += 1) {
    const page = await get(withQuery("/workflows", { ...asked(filters), cursor, limit: PAGE_ROWS - items.length }));
    items.push(...page.items);
    cursor = page.next_cursor;
    if (!cursor || items.length >= PAGE_ROWS) break;
  }
  return { items, next_cursor: cursor };
}
