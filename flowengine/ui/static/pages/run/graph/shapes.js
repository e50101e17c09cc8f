// The SVG that a graph is made of.

const SVG = "http://www.w3.org/2000/svg";
const ORDER = ["completed", "failed", "running", "waiting", "queued", "cancelled", "skipped", "pending"];

/**
 * @param {string} name
 * @param {Record<string, string | number>} [attributes]
 * @returns {SVGElement}
 */
export function element(name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/**
 * The bar of a stack.
 * @param {Record<string, number>} counts
 * @param {number} width
 */
export function segments(counts, width) {
  const shown = ORDER.filter((status) => counts[status]);
  const room = width - 1 * (shown.length - 1);
  const least = 3;
  const free = Math.max(0, room - least * shown.length);
  let x = 0;
  return shown.map((status) => {
    const wide = least + (free * counts[status]) / counts.total;
    const is = status === "failed";
    const bar = element("rect", {
      class: `is-${status} fill`, x: x.toFixed(1), y: is ? 0 : 1, width: wide.toFixed(1), height: is ? 7 : 5,
    });
    x += wide + 1;
    return bar;
  });
}

/** @param {{x: number, y: number, width: number, height: number}} box A rectangle, as a part of a path. */
export const block = ({ x, y, width, height }) => `M${x} ${y}h${width}v${height}h${-width}z`;
