// Where one looks at a drawing from, in numbers. Pure: sizes and views in, views out.

/**
 * @typedef {{x: number, y: number, scale: number}} View a point of the drawing is shown at `point * scale + (x, y)`
 * @typedef {{width: number, height: number}} Size
 * @typedef {{x: number, y: number, width: number, height: number}} Box
 * @typedef {"near" | "mid" | "far"} Level cards; icon and id; blocks
 */

const MARGIN = 20;
const TOOLS = 48;
const MOST = 2;
/** The least scale of an opening view: what one opens can be read. */
const LEGIBLE = 0.8;

/** @param {number} scale @returns {Level} */
export const levelOf = (scale) => (scale >= 0.7 ? "near" : scale >= 0.35 ? "mid" : "far");

/** Below this scale the edges of most nodes are not drawn. */
export const FEW_EDGES = 0.15;

/** @param {Size} drawing @param {Size} stage The scale at which all of it is seen, not above 1. */
function fittingScale(drawing, stage) {
  const wide = (stage.width - 2 * MARGIN) / Math.max(1, drawing.width);
  const high = (stage.height - MARGIN - TOOLS) / Math.max(1, drawing.height);
  return Math.max(0.005, Math.min(1, wide, high));
}

/** @param {Size} drawing @param {Size} stage All of it, in the middle; below it is room for the tools. */
export function fit(drawing, stage) {
  const scale = fittingScale(drawing, stage);
  const x = (stage.width - drawing.width * scale) / 2;
  const free = stage.height - MARGIN - TOOLS - drawing.height * scale;
  return { x, y: MARGIN + Math.max(0, Math.min(free / 2, 60)), scale };
}

/**
 * The view that a graph opens with: all of it if that can be read, else what matters most, in the middle.
 * @param {Size} drawing
 * @param {Size} stage
 * @param {Box | null} first what matters most
 * @returns {View}
 */
export function opening(drawing, stage, first) {
  const all = fit(drawing, stage);
  if (all.scale >= LEGIBLE) return all;
  const from = { x: (stage.width - drawing.width * LEGIBLE) / 2, y: MARGIN, scale: LEGIBLE };
  return held(first ? centred(from, stage, first) : from, drawing, stage);
}

/** @param {View} view @param {Size} stage @param {Box} box @returns {View} the box in the middle */
export function centred(view, stage, box) {
  const { scale } = view;
  return {
    x: stage.width / 2 - (box.x + box.width / 2) * scale,
    y: stage.height / 2 - (box.y + box.height / 2) * scale,
    scale,
  };
}

/** @param {View} view @param {number} factor @param {number} x @param {number} y a point of the stage that stays */
export function zoomed(view, factor, x, y, least = 0.02) {
  const scale = Math.max(Math.min(least, view.scale), Math.min(MOST, view.scale * factor));
  const by = scale / view.scale;
  return { x: x - (x - view.x) * by, y: y - (y - view.y) * by, scale };
}

/** @param {View} view @param {Size} drawing @param {Size} stage @returns {View} one that shows some of the drawing */
export function held(view, drawing, stage) {
  const wide = drawing.width * view.scale;
  const high = drawing.height * view.scale;
  const some = 80;
  return {
    x: Math.max(Math.min(some, stage.width / 2) - wide, Math.min(stage.width - Math.min(some, stage.width / 2), view.x)),
    y: Math.max(Math.min(some, stage.height / 2) - high, Math.min(stage.height - Math.min(some, stage.height / 2), view.y)),
    scale: view.scale,
  };
}

/** @param {View} view @param {Size} stage @returns {Box} what is seen of the drawing */
export function seen(view, stage) {
  return {
    x: -view.x / view.scale,
    y: -view.y / view.scale,
    width: stage.width / view.scale,
    height: stage.height / view.scale,
  };
}

/** @param {Box} box @param {number} part @returns {Box} larger on each side by a part of it */
export const grown = (box, part) => ({
  x: box.x - box.width * part,
  y: box.y - box.height * part,
  width: box.width * (1 + 2 * part),
  height: box.height * (1 + 2 * part),
});

/** @param {Box} one @param {Box} other */
export const meet = (one, other) =>
  one.x <= other.x + other.width && other.x <= one.x + one.width
  && one.y <= other.y + other.height && other.y <= one.y + one.height;

/** @param {Box} whole @param {Box} part */
export const holds = (whole, part) =>
  whole.x <= part.x && whole.y <= part.y
  && part.x + part.width <= whole.x + whole.width && part.y + part.height <= whole.y + whole.height;
