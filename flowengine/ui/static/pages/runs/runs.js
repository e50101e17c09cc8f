// The list of runs: what needs a person first seen, and from there to the run.
import { html, useEffect, useMemo } from "../../vendor/preact.js";
import { useKeys } from "../../app/keys.js";
import { counted, number } from "../../app/format.js";
import { may } from "../../app/session.js";
import { useTitle } from "../../app/title.js";
import { query } from "../../app/router.js";
import { Bones } from "../../parts/bones.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { BulkBar } from "./bulk/bulk_bar.js";
import { chosen, choose, chooseNone, chooseShown } from "./bulk/chosen.js";
import { DayBars } from "./day_bars.js";
import { FilterBar } from "./filter_bar.js";
import { clearFilters, filters, narrows } from "./filters.js";
import { NothingHere } from "./nothing_here.js";
import { RunRow } from "./run_row.js";
import { runsStore } from "./runs_store.js";
import { keptRuns, stats, watchStats } from "./stats_store.js";
import { StatusChips } from "./status_chips.js";

/** The list outlives the page: who comes back from a run finds it as it was. */
const store = runsStore();
let openedId = "";

export function Runs() {
  useTitle("Runs");
  const wanted = filters.value;
  const key = JSON.stringify(wanted);
  useMemo(() => store.forgetUnless(wanted), []);
  useEffect(() => { store.open(wanted); }, [key]);
  useEffect(() => store.start(), []);
  useEffect(() => watchStats(), []);
  const kind = JSON.stringify({ ...wanted, cursor: "" });
  useEffect(() => chooseNone(), [kind]);
  useRowKeys();
  useEffect(() => { if (openedId) linkOf(openedId)?.focus({ preventScroll: true }); openedId = ""; }, []);
  const selectable = may("operate");
  const problem = store.problem.value;
  return html`<div class="page">
    <div class="head"><h1>Runs</h1>${may("author") && html`<div class="actions"><a class="b primary" href="/ui/new">New run</a></div>`}</div>
    <div class="now"><${StatusChips} /><${DayBars} /></div>
    <section class="card" aria-label="List of runs" aria-busy=${store.loading.value ? "true" : "false"}><${FilterBar} />
      ${problem && html`<${ProblemNote} problem=${problem} what="The runs" again=${store.again}
        instead=${problem.status === 422 && html`<button class="b" type="button" onClick=${clearFilters}>Clear the filter</button>`} />`}
      ${selectable && html`<${BulkBar} store=${store} />`}
      <${Newer} />
      ${store.order.value ? store.shown.value ? html`<${Table} selectable=${selectable} />` : html`<${NothingHere} older=${store.next.value !== null} />`
        : !problem && html`<${Bones} what="the runs" />`}
      <${Foot} /></section></div>`;
}

function Newer() {
  const count = store.newer.value.length;
  if (!count) return null;
  return html`<button class="arrived" type="button" aria-live="polite" onClick=${store.again}>${counted(count, "newer run")}: show ${count === 1 ? "it" : "them"}</button>`;
}

/** @param {{selectable: boolean}} props */
function Table({ selectable }) {
  const ids = store.order.value ?? [];
  const all = ids.every((id) => chosen.value.has(id));
  const rows = ids.map((id) => store.row(id)).flatMap((row) => row ?? []);
  const shown = () => rows.map((row) => row.peek());
  return html`<table class=${selectable ? "runs" : "runs unselectable"}><thead><tr>
    ${selectable && html`<th><input type="checkbox" aria-label="Select all that are shown" checked=${all}
      onClick=${() => chooseShown(all ? [] : shown())} /></th>`}
    <th>Status</th><th>Name</th><th>Progress</th><th>Started</th><th class="num">Took</th><th class="hide-m">Trigger</th><th class="hide-m">Labels</th></tr></thead>
    <tbody onClick=${remember}>${rows.map((row) => html`<${RunRow} key=${row.peek().execution_id} row=${row} selectable=${selectable} shown=${shown} />`)}</tbody></table>`;
}

function Foot() {
  const next = store.next.value;
  const shown = store.shown.value;
  const { cursor } = filters.value;
  if (!shown && !next) return null;
  const kept = stats.value && !narrows(filters.value) && keptRuns(stats.value);
  return html`<div class="foot"><span>${shown && kept && kept > shown ? `${number(shown)} of ${number(kept)}` : counted(shown, "run")}</span>
    ${cursor && html`<a href=${addressWith("")}>Newest</a>`}${next && html`<a href=${addressWith(next)} rel="next">Older</a>`}
    <span class="grow"></span><span class="hide-s"><kbd>j</kbd> <kbd>k</kbd> move ${"\u00a0"} ${may("operate") && html`<kbd>x</kbd> select ${"\u00a0"} `}<kbd>Enter</kbd> open ${"\u00a0"} <kbd>?</kbd> all keys</span></div>`;
}

/** @param {string} cursor */
function addressWith(cursor) {
  const search = new URLSearchParams(query.value);
  search.delete("cursor");
  if (cursor) search.set("cursor", cursor);
  const text = search.toString();
  return text ? `/ui/runs?${text}` : "/ui/runs";
}

function useRowKeys() {
  const step = (/** @type {number} */ by) => () => {
    const ids = store.order.peek() ?? [];
    const place = ids.indexOf(idAt(document.activeElement));
    const next = place < 0 ? (by > 0 ? 0 : ids.length - 1) : Math.min(ids.length - 1, Math.max(0, place + by));
    const link = linkOf(ids[next]);
    link?.focus();
    link?.scrollIntoView({ block: "nearest" });
  };
  const select = () => {
    const row = store.row(idAt(document.activeElement))?.peek();
    if (row && may("operate")) choose(row, !chosen.peek().has(row.execution_id));
  };
  useKeys([
    { keys: "j", does: "next run", run: step(1) },
    { keys: "k", does: "previous run", run: step(-1) },
    ...(may("operate") ? [{ keys: "x", does: "select the run, or no longer", run: select }] : []),
  ]);
}

/** @param {Event} event */
function remember(event) {
  if (/** @type {Element} */ (event.target).closest("a.name")) openedId = idAt(/** @type {Element} */ (event.target));
}

/** @param {Element | null} element */
const idAt = (element) => /** @type {HTMLElement | null | undefined} */ (element?.closest("tr[data-run]"))?.dataset.run ?? "";

/** @param {string} id @returns {HTMLElement | null} */
const linkOf = (id) => document.querySelector(`tr[data-run="${CSS.escape(id)}"] a.name`);
