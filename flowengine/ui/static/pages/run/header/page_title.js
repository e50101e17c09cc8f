// How the run is, for those who do not look at it: the title and icon of the browser's tab, and what is read aloud.
import { html, useEffect, useRef, useState } from "../../../vendor/preact.js";
import { useTitle } from "../../../app/title.js";
import { endedOf } from "../../../parts/counts_bar.js";
import { lookOf, wordOf } from "../../../parts/status.js";

const TOLD_EVERY_MS = 5000;
const MOST_CHARS = 50;

/** @param {{store: import("../run_store.js").RunStore}} props */
export function PageTitle({ store }) {
  const run = store.run.value;
  const counts = store.counts.value;
  const failed = store.failures.value.length;
  const [told, tell] = useState("");
  const status = wordOf(run.status).toLowerCase();
  const now = `${endedOf(counts)} of ${counts.total} nodes ended${failed ? `, ${failed} failed` : ""}. The run is ${status}.`;
  const newest = useRef(now);
  newest.current = now;
  useEffect(() => {
    if (told === now) return undefined;
    const timer = setTimeout(() => tell(newest.current), told && !store.isOver.value ? TOLD_EVERY_MS : 0);
    return () => clearTimeout(timer);
  }, [told, told === now, run.status]);
  const look = failed && run.status === "running" ? "failed" : lookOf(run.status);
  useTitle(`${run.name.slice(0, MOST_CHARS)}: ${status}${failed && run.status !== "completed" ? `, ${failed} failed` : ""}`, look);
  return html`<p class="unseen" role="status" aria-live="polite">${told}</p>`;
}
