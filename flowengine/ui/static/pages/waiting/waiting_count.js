// How many nodes wait for a person, for the navigation. Asked for as long as the page is seen.
import { signal } from "../../vendor/preact.js";
import { get } from "../../app/api.js";
import { isNarrow } from "../../app/session.js";

const EVERY_MS = 10_000;
const MOST = 100;

/** How many wait; `more`: at least so many. */
export const waitingCount = signal({ count: 0, more: false });

let again = () => {};

/** Ask now: something was decided. */
export const countAgain = () => again();

/** Keep the count up; what it returns stops that. */
export function watchCount() {
  if (isNarrow()) return () => undefined;
  let timer = 0;
  let newest = 0;
  const once = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    const mine = ++newest;
    try {
      const { items, next_cursor: next } = await get(`/waiting?limit=${MOST}`);
      const told = { count: items.length, more: next !== null };
      if (told.count !== waitingCount.value.count || told.more !== waitingCount.value.more) waitingCount.value = told;
    } catch { /* what was told stays; the page itself says what is wrong */ }
    if (mine === newest) timer = setTimeout(once, EVERY_MS);
  };
  again = once;
  document.addEventListener("visibilitychange", once);
  once();
  return () => {
    newest += 1;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", once);
    again = () => {};
  };
}
