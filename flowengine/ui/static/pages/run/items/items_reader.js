// The items of a map as a list that is read where one looks: a page at a time, without results.
import { signal } from "../../../vendor/preact.js";
import { get, withQuery } from "../../../app/api.js";

/**
 * @typedef {object} Item as `GET /workflows/{id}/nodes/{node}/items` gives it
 * @property {number} index
 * @property {string} key
 * @property {string} status
 * @property {{kind: string, until: string | null}} [waiting_for]
 * @property {number} tries
 * @property {string | null} started_at
 * @property {string | null} finished_at
 * @property {import("../run_store.js").NodeError | null} error
 * @property {any} result
 * @property {boolean} [result_truncated]
 * @property {string} [child] of a group for each item: the execution that it runs as
 */

/** So many items are read at once. */
export const PAGE = 200;
/** A page without a finding is short: so many in a row are looked through for one. */
const MOST_PAGES = 40;

/**
 * @param {string} path of the items
 * @param {string[]} statuses those that are listed; none: all, whose places are their indexes
 */
export function itemsReader(path, statuses) {
  /** @type {Item[]} By their places in the list; with gaps where nobody has looked. */
  const items = [];
  /** Goes up with each change of `items`. */
  const changed = signal(0);
  const problem = signal(/** @type {any} */ (null));
  /** @type {Map<number, number>} The pages that were asked for, and for which version of the map. */
  const asked = new Map();
  let version = 0;
  let stopped = false;
  let cursor = "";
  /** @type {Promise<void> | null} */
  let reading = null;
  let isWhole = false;

  /** @param {number} page */
  async function readPage(page) {
    const mine = version;
    asked.set(page, mine);
    try {
      const found = await get(withQuery(path, { from: page * PAGE || "", limit: PAGE, results: "false" }));
      if (stopped || asked.get(page) !== mine) return;
      for (const item of found.items) items[item.index] = item;
      problem.value = null;
      changed.value += 1;
    } catch (error) {
      if (stopped) return;
      asked.delete(page);
      problem.value = error;
    }
  }

  /** @param {number} until Read on, until so many are found or there are no more; what is being read already is waited for. */
  function readOn(until) {
    if (!reading && !isWhole) reading = readUntil(until).finally(() => { reading = null; });
    return reading;
  }

  /** @param {number} until */
  async function readUntil(until) {
    const mine = version;
    try {
      while (!stopped && mine === version && !isWhole && items.length < until) {
        const found = await get(withQuery(path, { status: statuses, limit: PAGE, results: "false", cursor }));
        if (stopped || mine !== version) break;
        items.push(...found.items);
        cursor = found.next_cursor ?? "";
        isWhole = !cursor;
        changed.value += 1;
      }
      problem.value = null;
    } catch (error) {
      if (!stopped) problem.value = error;
    }
    if (!stopped && mine !== version) await readUntil(until);
  }

  /** @param {number} first @param {number} last The items at these places, if all were read. */
  function known(first, last) {
    const found = items.slice(first, last + 1);
    return found.length === last + 1 - first && !found.includes(/** @type {any} */ (undefined)) ? found : null;
  }

  /**
   * The items at these places, read where nobody has looked; fewer, if the list has become shorter. Raises Problem.
   * @param {number} first
   * @param {number} last
   */
  async function read(first, last) {
    if (statuses.length) {
      while (!stopped && !isWhole && items.length <= last) {
        await readOn(last + 1);
        if (problem.value) throw problem.value;
      }
    } else {
      for (let page = Math.floor(first / PAGE); !stopped && page * PAGE <= last; page += 1) {
        // Once more where the map went on meanwhile, and the answer was not for what it is now.
        for (let tries = 0; tries < 2 && !known(Math.max(first, page * PAGE), Math.min(last, (page + 1) * PAGE - 1)); tries += 1) {
          await readPage(page);
          if (problem.value) throw problem.value;
        }
      }
    }
    return items.slice(first, last + 1).filter(Boolean);
  }

  return {
    items, changed, problem, known, read,
    /** @param {number} first @param {number} last The places that are in sight. */
    need(first, last) {
      if (statuses.length) {
        readOn(last);
        return;
      }
      for (let page = Math.floor(first / PAGE); page * PAGE < last; page += 1) if (asked.get(page) !== version) readPage(page);
    },
    /** The map has gone on: what is in sight is asked for anew; what was read stays until then. */
    again() {
      version += 1;
      if (!statuses.length) return;
      items.length = 0;
      cursor = "";
      isWhole = false;
    },
    stop() { stopped = true; },
  };
}

/** @typedef {ReturnType<typeof itemsReader>} ItemsReader */

/**
 * The next item that has failed, behind an index; from the first one on where none is behind it.
 * @param {string} path of the items
 * @param {number} index
 * @returns {Promise<Item | null>}
 */
export async function nextFailed(path, index) {
  return await firstFailed(path, index + 1) ?? (index >= 0 ? firstFailed(path, 0) : null);
}

/** @param {string} path @param {number} from @returns {Promise<Item | null>} */
async function firstFailed(path, from) {
  let cursor = "";
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const found = await get(withQuery(path, { status: "failed", from: from || "", limit: 1, results: "false", cursor }));
    if (found.items.length) return found.items[0];
    if (!found.next_cursor) return null;
    cursor = found.next_cursor;
  }
  return null;
}
