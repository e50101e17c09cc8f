// The items of one map that are selected, to be run again: by key, and only as long as the run is the same.
import { useRef, useState } from "../../../vendor/preact.js";

/** @typedef {ReturnType<typeof useChosenItems>} ChosenItems */

/** The most that a request may name to run them again. */
export const MOST_CHOSEN = 10_000;

/** @param {string} of what the selection belongs to: another node or another run of it begins without one */
export function useChosenItems(of) {
  const [kept, keep] = useState({ of, keys: /** @type {ReadonlySet<string>} */ (new Set()), reading: false });
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const turn = useRef(0);
  const now = kept.of === of ? kept : { of, keys: /** @type {ReadonlySet<string>} */ (new Set()), reading: false };

  /** @param {(keys: Set<string>) => void} does @param {boolean} reading */
  const change = (does, reading) => keep((before) => {
    const keys = new Set(before.of === of ? before.keys : []);
    does(keys);
    return { of, keys, reading };
  });
  /** @param {Iterable<string>} some @param {boolean} on @returns {(keys: Set<string>) => void} */
  const putting = (some, on) => (keys) => {
    for (const key of some) {
      if (!on) keys.delete(key);
      else if (keys.size < MOST_CHOSEN) keys.add(key);
    }
  };
  return {
    keys: now.keys,
    /** Whether it is being read which items are meant. */
    reading: now.reading,
    problem,
    /**
     * Select those at these places of a list, or no longer. Those that nobody has looked at are read first.
     * @param {import("./items_reader.js").ItemsReader} reader
     * @param {number} first
     * @param {number} last
     * @param {boolean} on
     */
    async choose(reader, first, last, on) {
      const mine = ++turn.current;
      setProblem(null);
      const known = reader.known(first, last);
      if (known) return change(putting(known.map((item) => item.key), on), false);
      change(() => undefined, true);
      try {
        const items = await reader.read(first, last);
        if (mine === turn.current) change(putting(items.map((item) => item.key), on), false);
      } catch (error) {
        if (mine !== turn.current) return;
        change(() => undefined, false);
        setProblem(error);
      }
    },
    clear() {
      turn.current += 1;
      setProblem(null);
      change((keys) => keys.clear(), false);
    },
  };
}
