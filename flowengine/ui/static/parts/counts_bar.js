// The bar of how many nodes are how far: a fixed order, the failed ones higher, no segment under 3 px.
import { html } from "../vendor/preact.js";

const ORDER = ["completed", "failed", "running", "waiting", "queued", "cancelled", "skipped", "pending"];
const ENDED = ["completed", "failed", "cancelled", "skipped"];
const LEAST = 3;

/** @param {Record<string, number>} counts How many nodes have ended. */
export const endedOf = (counts) => ENDED.reduce((sum, status) => sum + (counts[status] || 0), 0);

/** @param {{counts: Record<string, number>, width?: number, height?: number}} props `counts` by status, with `total` */
export function CountsBar({ counts, width = 120, height = 8 }) {
  const shown = ORDER.filter((status) => counts[status] > 0);
  const total = shown.reduce((sum, status) => sum + counts[status], 0) || 1;
  const room = width - shown.length + 1;
  const widths = shown.map((status) => Math.max(LEAST, (room * counts[status]) / total));
  const scale = room / (widths.reduce((sum, each) => sum + each, 0) || 1);
  let x = 0;
  const bars = shown.map((status, index) => {
    const wide = Math.max(LEAST, widths[index] * scale);
    const high = status === "failed" ? height : height - 3;
    const bar = html`<rect class=${`is-${status} fill`} x=${x.toFixed(1)} y=${(height - high) / 2} width=${wide.toFixed(1)} height=${high} />`;
    x += wide + 1;
    return bar;
  });
  const label = `${endedOf(counts)} of ${counts.total ?? total} nodes ended`;
  return html`<svg class="bar" viewBox=${`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label=${label}>${bars}</svg>`;
}
