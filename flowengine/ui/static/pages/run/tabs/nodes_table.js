// All nodes of a run as a table: the same as the graph says, in words. What failed comes first.
import { html, useState } from "../../../vendor/preact.js";
import { now as clock } from "../../../app/clock.js";
import { at as ms, counted, duration, exact, number } from "../../../app/format.js";
import { useKeys } from "../../../app/keys.js";
import { setQuery } from "../../../app/router.js";
import { Icon } from "../../../parts/icon.js";
import { shownText } from "../../../parts/shown_text.js";
import { lookOf } from "../../../parts/status.js";
import { placed, useDrawnOnce, useRowsInSight } from "../../../parts/virtual_rows.js";
import { select, selected, shownStatuses } from "../selection.js";
import { causeOf, iconOf, listed, queuedFor, ranFor, statusWords } from "../words/node_words.js";
import { beganAt, COLUMNS, sortedNodes } from "./nodes/node_order.js";
import { useRoving } from "./roving.js";

const ROW = 32;
const HEAD = 30;

/** @param {{store: import("../run_store.js").RunStore}} props */
export function NodesTable({ store }) {
  const [text, setText] = useState("");
  const [order, setOrder] = useState(/** @type {import("./nodes/node_order.js").NodeOrder} */ ({ by: "status", down: false }));
  const now = store.isOver.value ? 0 : clock.value;
  const wanted = shownStatuses.value;
  const all = store.order.value.flatMap((id) => store.nodes.get(id)?.value ?? []);
  const shown = all.filter((node) => (!wanted.size || wanted.has(node.status)) && matches(node, text, now));
  const rows = sortedNodes(shown, order, now).map((node) => ({ node }));
  const sort = (/** @type {string} */ by) => setOrder({ by, down: order.by === by ? !order.down : false });
  const hidden = all.length - rows.length;
  const showAll = () => { setText(""); setQuery({ status: null }); };
  return html`<section class="tab" aria-label="Nodes">
    <div class="time-bar"><label class="line"><span class="unseen">Filter the nodes</span><input class="in filter" type="search" value=${text} placeholder="Id, handler or cause"
      onInput=${(/** @type {any} */ event) => setText(event.target.value)} /></label>
      <span class="quiet" role="status">${hidden ? `${number(rows.length)} of ${number(all.length)} nodes` : counted(all.length, "node")}</span>
      ${hidden > 0 && html`<button class="b bare" type="button" onClick=${showAll}>Show all</button>`}</div>
    <${Table} rows=${rows} now=${now} order=${order} sort=${sort} chosen=${selected.value} />
    ${!rows.length && html`<p class="tab-note">${all.length ? `No node matches. ${number(hidden)} are hidden by the filter.` : "This run has no nodes."}</p>`}</section>`;
}

/**
 * @param {{rows: {node: import("../run_store.js").Node}[], now: number, order: import("./nodes/node_order.js").NodeOrder, sort: (by: string) => void,
 *   chosen: string}} props
 */
function Table({ rows, now, order, sort, chosen }) {
  const { box, first, last } = useRowsInSight(rows.length, ROW, HEAD);
  const roving = useRoving({ box, rows, above: HEAD, chosen, height: ROW });
  useKeys([{ keys: "j", does: "next row", run: () => roving.move(1) }, { keys: "k", does: "row before", run: () => roving.move(-1) }], [rows]);
  const drawn = useDrawnOnce();
  const gap = (/** @type {number} */ count) => html`<tr aria-hidden="true"><td class="gap" colspan=${COLUMNS.length} ref=${placed({ height: count * ROW })}></td></tr>`;
  return html`<div class="rows" ref=${box} onKeyDown=${roving.onKeyDown} role="group" aria-label="Table of nodes">
    <table class="nodes" aria-rowcount=${rows.length + 1}><thead><tr>${COLUMNS.map(({ key, name, look }) => html`
      <th key=${key} class=${look} scope="col" aria-sort=${order.by === key ? (order.down ? "descending" : "ascending") : null}>
      <button type="button" class="sort" onClick=${() => sort(key)}>${name}<span aria-hidden="true">${order.by === key ? (order.down ? " ↓" : " ↑") : ""}</span></button></th>`)}</tr></thead>
    <tbody>${first > 0 && gap(first)}${rows.slice(first, last).map(({ node }, index) => {
      const about = { node, at: first + index, now, isSelected: chosen === node.id, isActive: roving.active === first + index };
      return drawn(node.id, about, () => html`<${NodeRow} key=${node.id} ...${about} />`);
    })}${last < rows.length && gap(rows.length - last)}</tbody></table></div>`;
}

/** @param {{node: import("../run_store.js").Node, at: number, now: number, isSelected: boolean, isActive: boolean}} props */
function NodeRow({ node, at, now, isSelected, isActive }) {
  const look = lookOf(node.status);
  const cause = shownText(causeOf(node, now));
  const began = beganAt(node);
  const open = () => select(node.id);
  return html`<tr class=${`is-${look}${isSelected ? " chosen" : ""}`} aria-rowindex=${at + 2} onClick=${open}>
    <td class="c-status"><span class="status"><${Icon} name=${iconOf(node)} />${statusWords(node)}</span></td>
    <td class="c-node"><button type="button" class="as-text cut" data-node=${node.id} tabindex=${isActive ? 0 : -1} aria-pressed=${isSelected} title=${node.id}
      onClick=${(/** @type {Event} */ event) => { event.stopPropagation(); open(); }}><bdi>${node.id}</bdi></button>${node.hook && html` <span class="faint small">hook</span>`}</td>
    <td class="cut quiet c-handler" title=${node.handler}><bdi>${node.handler}</bdi></td>
    <td class="num">${node.attempt || "–"}</td>
    <td class="c-time" title=${began ? exact(began) : null}>${began ? began.slice(11, 19) : "–"}</td>
    <td class="num">${length(queuedFor(node))}</td>
    <td class="num">${length(node.queued_at ? ranFor(node, now) : NaN)}</td>
    <td class="cut quiet c-after" title=${node.dependencies.join(", ")}><bdi>${listed(node.dependencies, 2) || "–"}</bdi></td>
    <td class="cut c-cause" title=${cause}><bdi>${cause.slice(0, 300)}</bdi></td></tr>`;
}

/** @param {number} time in ms */
const length = (time) => (Number.isFinite(time) ? duration(time) : "–");

/**
 * @param {import("../run_store.js").Node} node
 * @param {string} text
 * @param {number} now
 */
function matches(node, text, now) {
  const wanted = text.trim().toLowerCase();
  return !wanted || [node.id, node.handler, statusWords(node), causeOf(node, now)].some((each) => each.toLowerCase().includes(wanted));
}
