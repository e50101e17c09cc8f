// One row of the timeline: a button with the node's name, and its bars.
import { html } from "../../../../vendor/preact.js";
import { Icon } from "../../../../parts/icon.js";
import { lookOf } from "../../../../parts/status.js";
import { placed } from "../../../../parts/virtual_rows.js";
import { iconOf, statusWords } from "../../words/node_words.js";
import { RowBars, ROW } from "./row_bars.js";
import { nameOf } from "./time_rows.js";

/**
 * @param {{row: import("./time_rows.js").TimeRow, at: number, scale: import("./time_scale.js").Scale, now: number, width: number,
 *   isSelected: boolean, isActive: boolean}} props
 */
export function TimelineRow({ row, at, scale, now, width, isSelected, isActive }) {
  const { node } = row;
  return html`<button type="button" class=${`time-row is-${lookOf(node.status)}`} data-node=${node.id} data-row=${at} ref=${placed({ top: at * ROW })}
      aria-pressed=${isSelected} aria-label=${nameOf(row, statusWords(node))} tabindex=${isActive ? 0 : -1}>
    <span class="time-name" title=${node.id}><${Icon} name=${iconOf(node)} /><bdi class="cut">${node.id}</bdi></span>
    <${RowBars} row=${row} scale=${scale} now=${now} width=${width} /></button>`;
}
