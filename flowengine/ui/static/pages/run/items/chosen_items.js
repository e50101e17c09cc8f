// The items of one map that are selected, to be run again: by key, and only as long as the run is the same.
import { useState } from "../../../vendor/preact.js";

/** @typedef {ReturnType<typeof useChosenItems>} ChosenItems */

/** @param {string} of what the selection belongs to: another node or another run of it begins without one */
export function useChosenItems(of) {
  const [kept, keep] = useState({ of, keys: /** @type {ReadonlySet<string>} */ (new Set()) });
  const keys = kept.of === of ? kept.keys : new Set();
  return {
    keys,
    /** @param {string} key Select it, or take it out. */
    toggle(key) {
      const now = new Set(keys);
      if (!now.delete(key)) now.add(key);
      keep({ of, keys: now });
    },
    clear: () => keep({ of, keys: new Set() }),
  };
}
