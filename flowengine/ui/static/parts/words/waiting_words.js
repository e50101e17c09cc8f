// What a node waits for, in words: the same in lists, in a run's head and on its card.
import { duration } from "../../app/format.js";

/**
 * @param {string | undefined} kind of its `waiting_for`
 * @param {number} left ms until its time is over; NaN: nobody has told
 * @returns {string} what follows its name: "is tried again in 4.0 s", "waits for a decision, for 6 d 23 h at most"
 */
export function waitPhrase(kind, left) {
  const when = Number.isNaN(left) ? "" : left > 0 ? ` in ${duration(left)}` : " now";
  const most = left > 0 ? `, for ${duration(left)} at most` : "";
  switch (kind) {
    case "turn": return "waits for its turn";
    case "repeat": return `repeats${when}`;
    case "later": return `is called again${when}`;
    case "wait": return `goes on${when}`;
    case "signal": return `waits for a signal${most}`;
    case "callback": return `waits for a callback${most}`;
    case "approval": return `waits for a decision${most}`;
    default: return `is tried again${when}`;
  }
}
