// The keyboard: what each key does here, and the list of them that `?` shows.
import { signal, useLayoutEffect } from "../vendor/preact.js";

/** @typedef {{keys: string, does: string, run: (event: KeyboardEvent) => void}} Shortcut `keys`: "j", "g r", "Escape" */

/** What is bound at the moment, last bound first. */
export const shortcuts = signal(/** @type {Shortcut[]} */ ([]));

let begun = "";
let begunAt = 0;

/**
 * Bind keys as long as a component is shown: from the moment it is there, so that none is pressed for nothing.
 * @param {Shortcut[]} bound
 * @param {any[]} inputs as of useEffect
 */
export function useKeys(bound, inputs = []) {
  useLayoutEffect(() => {
    shortcuts.value = [...bound, ...shortcuts.value];
    return () => { shortcuts.value = shortcuts.value.filter((each) => !bound.includes(each)); };
  }, inputs);
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key !== "Escape" && isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const first = event.timeStamp - begunAt < 1200 ? begun : "";
  begun = "";
  const wanted = first ? `${first} ${event.key}` : event.key;
  const found = shortcuts.value.find((each) => each.keys === wanted);
  if (found) {
    event.preventDefault();
    found.run(event);
  } else if (shortcuts.value.some((each) => each.keys.startsWith(`${event.key} `))) {
    begun = event.key;
    begunAt = event.timeStamp;
  }
});

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
    && !(target instanceof HTMLInputElement && /^(checkbox|radio|button)$/.test(target.type)));
}
