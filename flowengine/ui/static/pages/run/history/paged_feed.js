// A list that the API gives a page at a time, oldest first, and that grows while one looks at it: events, lines.
// It is read once, from its beginning; what is told live comes behind it.
import { signal } from "../../../vendor/preact.js";
import { get, withQuery } from "../../../app/api.js";

const PAGE = 500;
/** So many pages are read in one go; more when asked for. */
const PAGES_AT_ONCE = 60;

/**
 * @template {{id: string}} Item
 * @param {string} path of the list
 * @param {{most?: number, query?: Record<string, any>}} [how] `most`: so many are kept, the newest
 */
export function pagedFeed(path, how = {}) {
  const most = how.most ?? Infinity;
  /** @type {Item[]} All that is kept, oldest first. */
  const items = [];
  /** @type {Set<string>} */
  const known = new Set();
  /** @type {Item[]} What was told while a page was on its way. */
  let waiting = [];
  let last = "";
  /** Goes up with each change of `items`. */
  const changed = signal(0);
  /** "reading", "whole", or "stopped" where there is more than is read in one go. */
  const state = signal("idle");
  const problem = signal(/** @type {any} */ (null));
  /** Whether the API or this page has dropped older ones. */
  const cut = signal(false);
  let asked = 0;
  /** Whether something may have happened that neither a page nor the stream has told. */
  let missed = false;
  let dropped = 0;

  /** @param {Item[]} more */
  function append(more) {
    let added = false;
    for (const each of more) {
      if (known.has(each.id)) continue;
      known.add(each.id);
      items.push(each);
      last = each.id;
      added = true;
    }
    if (items.length > most) {
      const gone = items.splice(0, items.length - most);
      for (const each of gone) known.delete(each.id);
      dropped += gone.length;
      cut.value = true;
    }
    if (added) changed.value += 1;
  }

  /** Read on behind what is there, up to the end. */
  async function read() {
    const mine = ++asked;
    state.value = "reading";
    missed = false;
    problem.value = null;
    try {
      for (let page = 0; page < PAGES_AT_ONCE; page += 1) {
        const found = await get(withQuery(path, { ...how.query, limit: PAGE, cursor: last }));
        if (mine !== asked) return;
        if (found.cut) cut.value = true;
        append(found.items);
        if (found.next_cursor) last = found.next_cursor;
        else return ended();
      }
      state.value = "stopped";
    } catch (error) {
      if (mine !== asked) return;
      problem.value = error;
      state.value = "stopped";
    }
  }

  function ended() {
    state.value = "whole";
    const told = waiting;
    waiting = [];
    append(told);
    if (missed) read();
  }

  return {
    items, changed, state, problem, cut, read,
    /** How many of those that were read are not kept any more. */
    dropped: () => dropped,
    /** @param {Item[]} told What was told live, in order. */
    hear(told) {
      if (state.peek() === "whole") append(told);
      else if (waiting.length < 50_000) waiting.push(...told);
    },
    /** The stream begins, or was cut: read what was not told. */
    catchUp() {
      if (state.peek() === "whole") read();
      else missed = true;
    },
    leave() { asked += 1; },
  };
}

/**
 * @template {{id: string}} Item
 * @typedef {ReturnType<typeof pagedFeed<Item>>} Feed
 */
