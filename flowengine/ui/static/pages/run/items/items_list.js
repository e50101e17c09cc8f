// The items of a map: how many are how far, a list that is as long as there are items, and the one that is looked at.
import { html, useEffect, useMemo, useRef, useState } from "../../../vendor/preact.js";
import { counted, number } from "../../../app/format.js";
import { useKeys } from "../../../app/keys.js";
import { query, setQuery } from "../../../app/router.js";
import { may } from "../../../app/session.js";
import { CountsBar } from "../../../parts/counts_bar.js";
import { Icon } from "../../../parts/icon.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { shownText } from "../../../parts/shown_text.js";
import { lookOf, wordOf } from "../../../parts/status.js";
import { placed, useDrawnOnce, useRowsInSight } from "../../../parts/virtual_rows.js";
import { askRerunItems } from "../dialogs/asked.js";
import { whyNoRerun } from "../dialogs/rerun_possible.js";
import { useRoving } from "../tabs/roving.js";
import { allWords, ChosenBar } from "./chosen_bar.js";
import { MOST_CHOSEN, useChosenItems } from "./chosen_items.js";
import { ItemDetail } from "./item_detail.js";
import { itemsReader, nextFailed } from "./items_reader.js";
import { FILTERS, itemLine } from "./item_words.js";
import { countOf, mapLine } from "./map_counts.js";

const ROW = 28;
const SETTLED_MS = 80;

/** @param {{store: import("../run_store.js").RunStore, node: import("../run_store.js").Node}} props a map whose items are known */
export function ItemsList({ store, node }) {
  const [status, narrow] = useState("");
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const counts = /** @type {import("./map_counts.js").MapCounts} */ (node.map);
  const path = `${store.path}/nodes/${encodeURIComponent(node.id)}/items`;
  const version = `${node.attempt} ${node.status} ${Object.values(counts).join(" ")}`;
  const asked = query.value.get("item");
  const index = asked !== null && /^\d{1,6}$/.test(asked) ? Number(asked) : -1;
  const run = store.run.value;
  const chosen = useChosenItems(`${store.id} ${node.id} ${run.run}`);
  const selectable = may("operate") && !run.parent;
  const rerun = (/** @type {string[]} */ keys) => askRerunItems(node.id, keys);
  const open = (/** @type {number} */ at) => setQuery({ item: at < 0 ? null : String(at) });
  const toFailed = async () => {
    try {
      setProblem(null);
      const found = await nextFailed(path, index);
      if (found) open(found.index);
    } catch (error) {
      setProblem(error);
    }
  };
  useKeys([{ keys: "i", does: "next failed item", run: toFailed }], [path, index]);
  useEffect(() => () => setQuery({ item: null }), []);
  const chip = (/** @type {string} */ name) => html`<button key=${name} class=${`chip is-${name}`} type="button" aria-pressed=${status === name ? "true" : "false"}
    aria-label=${`${counted(countOf(counts, name), "item")} ${wordOf(name).toLowerCase()}`} onClick=${() => narrow(status === name ? "" : name)}>
    <${Icon} name=${name} /><span>${wordOf(name).toLowerCase()}</span> <b>${number(countOf(counts, name))}</b></button>`;
  return html`<div class="items"><div class="line"><${CountsBar} counts=${counts} width=${220} height=${9} /><b class="grow" role="status">${mapLine(counts)}</b>
      ${counts.failed > 0 && html`<button class="b bare next" type="button" onClick=${toFailed}>Next failed <kbd>i</kbd></button>`}</div>
    <div class="counts" role="group" aria-label="Filter the items">${FILTERS.filter((each) => countOf(counts, each.status) || each.status === status).map((each) => chip(each.status))}</div>
    <${ProblemNote} problem=${problem} what="The next item that failed" again=${toFailed} />
    ${selectable && html`<${ChosenBar} chosen=${chosen} why=${whyNoRerun(store)} onRerun=${() => rerun([...chosen.keys])} />`}
    <${Rows} key=${`${path} ${status}`} path=${path} asks=${FILTERS.find((each) => each.status === status)?.asks ?? []} count=${countOf(counts, status)}
      version=${version} chosen=${index} open=${open} status=${status} picked=${chosen.keys} pick=${selectable ? chosen.choose : null} />
    ${index >= 0 && html`<${ItemDetail} key=${index} path=${path} index=${index} version=${version} onClose=${() => open(-1)}
      rerun=${selectable ? (/** @type {string} */ key) => rerun([key]) : null} why=${whyNoRerun(store)} />`}</div>`;
}

/**
 * @param {{path: string, asks: string[], count: number, version: string, chosen: number, open: (index: number) => void,
 *   status: string, picked: ReadonlySet<string>, pick: import("./chosen_items.js").ChosenItems["choose"] | null}} props `pick`: null where nothing may be selected
 */
function Rows({ path, asks, count, version, chosen, open, status, picked, pick }) {
  const reader = useMemo(() => itemsReader(path, asks), [path, asks.join()]);
  useEffect(() => reader.stop, [reader]);
  const before = useRef(version);
  if (before.current !== version) {
    before.current = version;
    reader.again();
  }
  const change = reader.changed.value;
  const { box, first, last } = useRowsInSight(count, ROW);
  // What is only scrolled past is not read.
  useEffect(() => {
    const timer = setTimeout(() => reader.need(first, last), reader.items.length ? SETTLED_MS : 0);
    return () => clearTimeout(timer);
  }, [first, last, version, reader]);
  const rows = useMemo(() => Array.from({ length: count }, (_, place) => ({ node: { id: idOf(asks.length ? reader.items[place]?.index ?? -1 - place : place) } })),
    [count, asks.length ? change : 0]);
  const roving = useRoving({ box, rows, above: 0, chosen: idOf(chosen), height: ROW });
  const drawn = useDrawnOnce();
  const anchor = useRef(-1);
  /** @param {number} at @param {boolean} ranging with all from the last one that was selected */
  const choose = (at, ranging) => {
    const item = reader.items[at];
    if (!item || !pick) return;
    const from = ranging && anchor.current >= 0 ? anchor.current : at;
    anchor.current = at;
    pick(reader, Math.min(from, at), Math.max(from, at), !picked.has(item.key));
  };
  const chooseAll = () => { pick?.(reader, 0, Math.min(count, MOST_CHOSEN) - 1, true); };
  const newest = useRef(choose);
  newest.current = choose;
  const onPick = useMemo(() => (/** @type {number} */ at, /** @type {boolean} */ ranging) => newest.current(at, ranging), []);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const commanded = event.ctrlKey || event.metaKey;
    const does = !pick || event.altKey ? null : commanded && event.key === "a" ? chooseAll
      : !commanded && event.key.toLowerCase() === "x" ? () => choose(roving.active, event.shiftKey) : null;
    if (!does) return roving.onKeyDown(event);
    event.preventDefault();
    does();
  };
  const gap = (/** @type {number} */ size) => html`<li aria-hidden="true" ref=${placed({ height: size * ROW })}></li>`;
  if (!count) return html`<p class="quiet small">No item is in this status.</p>`;
  return html`<${ProblemNote} problem=${reader.problem.value} what="The items" again=${() => { reader.again(); reader.need(first, last); }} />
    ${pick && html`<button class="b bare select-all" type="button" title="In the list: x selects one, Shift+x all from the last one on, Ctrl+a all" onClick=${chooseAll}>${allWords(count, status)}</button>`}
    <ol class="item-rows" ref=${box} onKeyDown=${onKeyDown} aria-label=${counted(count, "item")}>
    ${first > 0 && gap(first)}${rows.slice(first, last).map(({ node }, place) => {
      const item = reader.items[first + place];
      const about = { item, id: node.id, isChosen: item?.index === chosen, isActive: roving.active === first + place,
        isPicked: pick ? picked.has(item?.key ?? "") : null };
      return drawn(String(first + place), about, () => html`<${Row} key=${first + place} ...${about} at=${first + place} count=${count} open=${open} onPick=${onPick} />`);
    })}${last < count && gap(count - last)}</ol>`;
}

/**
 * @param {{item: import("./items_reader.js").Item | undefined, id: string, at: number, count: number, isChosen: boolean, isActive: boolean,
 *   isPicked: boolean | null, open: (index: number) => void, onPick: (at: number, ranging: boolean) => void}} props `isPicked`: null where nothing may be selected
 */
function Row({ item, id, at, count, isChosen, isActive, isPicked, open, onPick }) {
  if (!item) return html`<li class="is-pending quiet" aria-setsize=${count} aria-posinset=${at + 1}><span class="faint">…</span></li>`;
  const line = shownText(itemLine(item).slice(0, 300));
  const word = wordOf(item.status).toLowerCase();
  // Without a key of its own an item is called by its index.
  const isNamed = item.key !== String(item.index);
  return html`<li class=${`is-${lookOf(item.status)}`} aria-setsize=${count} aria-posinset=${at + 1}>${isPicked !== null && html`<input type="checkbox" checked=${isPicked} tabindex=${isActive ? 0 : -1}
    aria-label=${`Select item ${item.index}`} title="Select (x); with Shift all from the last one on"
    onClick=${(/** @type {MouseEvent} */ event) => onPick(at, event.shiftKey)} />`}<button type="button" data-node=${id} tabindex=${isActive ? 0 : -1}
    aria-pressed=${isChosen ? "true" : "false"} aria-label=${`${[`Item ${item.index}`, ...(isNamed ? [shownText(item.key).slice(0, 100)] : []), word, ...(line ? [line] : [])].join(", ")}`}
    onClick=${() => open(isChosen ? -1 : item.index)}><${Icon} name=${lookOf(item.status)} /><span class="num faint">${item.index}</span>
    ${isNamed && html`<code class="cut" title=${item.key}><bdi>${shownText(item.key)}</bdi></code>`}<small class="cut"><bdi>${line}</bdi></small>${
      item.tries > 1 && html`<small class="faint">${counted(item.tries, "try", "tries")}</small>`}</button></li>`;
}

/** @param {number} index What no node can be called, for a list that moves the focus by names. */
const idOf = (index) => `item ${index}`;
