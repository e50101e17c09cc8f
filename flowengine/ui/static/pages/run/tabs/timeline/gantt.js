// The rows of the timeline in their box: it scrolls without anything being computed anew but the rows that come in.
import { html, useEffect, useState } from "../../../../vendor/preact.js";
import { useKeys } from "../../../../app/keys.js";
import { placed, useDrawnOnce, useRowsInSight } from "../../../../parts/virtual_rows.js";
import { select } from "../../selection.js";
import { useRoving } from "../roving.js";
import { ROW } from "./row_bars.js";
import { Axis, Folds, Grid } from "./time_layers.js";
import { TimelineRow } from "./timeline_row.js";
import { Tip, tipLines, tipPlace } from "./tip.js";

const AXIS = 28;

/**
 * @typedef {object} GanttProps
 * @property {import("./time_rows.js").TimeRow[]} rows
 * @property {import("./time_scale.js").Scale} scale
 * @property {number} now ms
 * @property {boolean} over
 * @property {number} width of the bars, in px
 * @property {number} names the width of the names, in px
 * @property {{run: number, at: number}[]} runs
 * @property {string} chosen the id of the node that is selected
 * @property {(room: number) => void} onRoom told how wide the box is
 * @property {(piece: import("./time_scale.js").Piece) => void} unfold
 */

/** @param {GanttProps} props */
export function Gantt({ rows, scale, now, over, width, names, runs, chosen, onRoom, unfold }) {
  const [pointed, point] = useState(/** @type {{id: string, span: number} | null} */ (null));
  const [tall, setTall] = useState(60);
  const { box, first, last } = useRowsInSight(rows.length, ROW, AXIS);
  const step = (/** @type {number} */ by) => {
    const row = rows[roving.active];
    const at = pointed?.id === row?.node.id ? pointed?.span ?? 0 : row?.spans.length ?? 0;
    if (row?.spans.length) point({ id: row.node.id, span: Math.max(0, Math.min(row.spans.length - 1, at + by)) });
  };
  const roving = useRoving({ box, rows, above: AXIS, chosen, height: ROW, onSide: step });
  useKeys([{ keys: "j", does: "next row", run: () => roving.move(1) }, { keys: "k", does: "row before", run: () => roving.move(-1) }], [rows]);
  useEffect(() => {
    const sizes = new ResizeObserver(() => {
      if (!box.current) return;
      onRoom(box.current.clientWidth);
      setTall(box.current.clientHeight - AXIS - 1);
    });
    if (box.current) sizes.observe(box.current);
    return () => sizes.disconnect();
  }, []);
  const drawn = useDrawnOnce();
  const height = Math.max(rows.length * ROW + 8, tall);
  const layer = { scale, width, height, names, now: over ? null : now, runs };
  const at = pointed ? rows.findIndex(({ node }) => node.id === pointed.id) : -1;
  const lines = at >= 0 && pointed ? tipLines(rows[at], pointed.span, now) : [];
  const place = lines.length ? tipPlace({ rows, at, lines, scale, now, width, names }) : null;
  const bars = (/** @type {Event} */ event) => {
    const span = /** @type {Element} */ (event.target).closest("[data-span]");
    const id = span?.closest("[data-node]")?.getAttribute("data-node");
    const next = span && id ? { id, span: Number(span.getAttribute("data-span")) } : null;
    if (next?.id !== pointed?.id || next?.span !== pointed?.span) point(next);
  };
  const press = (/** @type {Event} */ event) => {
    const id = /** @type {Element} */ (event.target).closest("[data-node]")?.getAttribute("data-node");
    if (id) select(id);
  };
  return html`<div class="gantt" ref=${box} role="group" aria-label="Bars of each node" onKeyDown=${roving.onKeyDown}>
    <div class="gantt-body" ref=${placed({ width: names + width, "--names": names })}>
    <${Axis} scale=${scale} width=${width} now=${layer.now} said=${place ? "" : lines.join(" · ")} />
    <div class="gantt-rows" ref=${placed({ height })} onClick=${press} onMouseOver=${bars} onMouseLeave=${() => point(null)}>
      <${Grid} ...${layer} />
      ${rows.slice(first, last).map((row, index) => {
        const about = { row, at: first + index, scale, now, width, isSelected: chosen === row.node.id, isActive: roving.active === first + index };
        return drawn(row.node.id, about, () => html`<${TimelineRow} key=${row.node.id} ...${about} />`);
      })}
      <${Folds} ...${layer} unfold=${unfold} />
      ${place && html`<${Tip} lines=${lines} place=${place} />`}</div></div></div>`;
}
