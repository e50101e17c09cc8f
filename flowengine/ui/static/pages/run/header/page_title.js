// The title of the browser's tab and its icon say how the run is.
import { html, useEffect, useState } from "../../../vendor/preact.js";
import { endedOf } from "../../../parts/counts_bar.js";
import { lookOf, wordOf } from "../../../parts/status.js";

const TOLD_EVERY_MS = 5000;
const MOST_CHARS = 60;
/** @type {Record<string, string>} */
const SHAPES = {
  failed: "%3Cpath fill='%23ad2416' d='M5 1h6l4 4v6l-4 4H5l-4-4V5z'/%3E",
  completed: "%3Ccircle cx='8' cy='8' r='7' fill='%230b6b58'/%3E%3Cpath d='m4.8 8.3 2.2 2.2 4.2-4.6' fill='none' stroke='white' stroke-width='2'/%3E",
  running: "%3Ccircle cx='8' cy='8' r='6' fill='none' stroke='%231c6cb8' stroke-width='3'/%3E%3Cpath d='M6.4 5v6l4.6-3z' fill='%231c6cb8'/%3E",
  waiting: "%3Cpath d='M3 1h10v2L9 8l4 5v2H3v-2l4-5-4-5z' fill='%23c0820f'/%3E",
  paused: "%3Crect x='1' y='1' width='14' height='14' rx='3' fill='%235d6875'/%3E%3Cpath d='M5.8 4.8v6.4m4.4-6.4v6.4' stroke='white' stroke-width='2'/%3E",
  cancelled: "%3Ccircle cx='8' cy='8' r='6' fill='none' stroke='%234d5764' stroke-width='2.4'/%3E%3Cpath d='m4 12 8-8' stroke='%234d5764' stroke-width='2.4'/%3E",
  pending: "%3Ccircle cx='8' cy='8' r='6' fill='none' stroke='%235c6673' stroke-width='2' stroke-dasharray='2.3 2.4'/%3E",
};

/** @param {{store: import("../run_store.js").RunStore}} props */
export function PageTitle({ store }) {
  const run = store.run.value;
  const counts = store.counts.value;
  const failed = store.failures.value.length;
  const [told, tell] = useState("");
  const status = wordOf(run.status).toLowerCase();
  const now = `${endedOf(counts)} of ${counts.total} nodes ended${failed ? `, ${failed} failed` : ""}. The run is ${status}.`;
  useEffect(() => {
    const timer = setTimeout(() => tell(now), told && !store.isOver.value ? TOLD_EVERY_MS : 0);
    return () => clearTimeout(timer);
  }, [Boolean(told), told === now, run.status]);
  useEffect(() => {
    document.title = `${run.name.slice(0, MOST_CHARS)}: ${status}${failed && run.status !== "completed" ? `, ${failed} failed` : ""} · FlowEngine`;
  }, [run.name, status, failed]);
  const look = failed && run.status === "running" ? "failed" : lookOf(run.status);
  useEffect(() => {
    const icon = document.getElementById("icon");
    const before = icon?.getAttribute("href") ?? "";
    icon?.setAttribute("href", `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E${SHAPES[look] ?? SHAPES.pending}%3C/svg%3E`);
    return () => icon?.setAttribute("href", before);
  }, [look]);
  return html`<p class="unseen" role="status" aria-live="polite">${told}</p>`;
}
