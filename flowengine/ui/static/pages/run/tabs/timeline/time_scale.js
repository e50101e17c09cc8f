// Where a time stands on the axis: linear, apart from idle stretches that are folded to a narrow band. Pure.

export const FOLD_PX = 56;
const FOLD_FROM_MS = 60_000;
const TICK_PX = 84;
const STEPS = [10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 108e5, 216e5, 432e5, 864e5];

/**
 * @typedef {{from: number, to: number, x: number, folded: boolean, gap: number, idle: number}} Piece of the axis; `gap`: where the
 *   idle stretch of a fold begins, `idle`: how long it is, the margins that are not folded included
 * @typedef {object} Scale
 * @property {(ms: number) => number} x
 * @property {Piece[]} folds
 * @property {{at: number, x: number, text: string}[]} ticks
 * @property {number} perMs pixels for a millisecond outside folds
 */

/**
 * @param {{begin: number, end: number, busy: [number, number][], width: number, fold: boolean, unfolded: Set<number>}} asked
 *   `busy`: when something ran; `unfolded`: the beginnings of idle stretches that are shown at length
 * @returns {Scale}
 */
export function timeScale({ begin, end, busy, width, fold, unfolded }) {
  const gaps = fold ? idle(begin, end, busy).filter(([from]) => !unfolded.has(from)) : [];
  // Where folds would leave too little for the rest, only the longest are folded.
  const most = Math.max(0, Math.floor((width * 0.6) / FOLD_PX));
  const kept = new Set([...gaps].sort((one, other) => other[1] - other[0] - (one[1] - one[0])).slice(0, most));
  const folded = gaps.filter((each) => kept.has(each)).map(([from, to]) => {
    const margin = Math.min(10_000, (to - from) / 20);
    return { gap: from, idle: to - from, from: from + margin, to: to - margin };
  });
  const asleep = folded.reduce((sum, each) => sum + each.to - each.from, 0);
  const perMs = (width - folded.length * FOLD_PX) / Math.max(1, end - begin - asleep);
  /** @type {Piece[]} */
  const pieces = [];
  let x = 0;
  let at = begin;
  const add = (/** @type {number} */ to, /** @type {{gap: number, idle: number} | null} */ band) => {
    pieces.push({ from: at, to, x, folded: band !== null, gap: band?.gap ?? 0, idle: band?.idle ?? 0 });
    x += band ? FOLD_PX : (to - at) * perMs;
    at = to;
  };
  for (const each of folded) {
    add(each.from, null);
    add(each.to, each);
  }
  add(end, null);
  return { x: (ms) => place(pieces, perMs, ms), folds: pieces.filter((each) => each.folded), ticks: ticks(pieces, perMs), perMs };
}

/**
 * The stretches of a minute or more in which nothing ran.
 * @param {number} begin
 * @param {number} end
 * @param {[number, number][]} busy
 */
export function idle(begin, end, busy) {
  /** @type {[number, number][]} */
  const found = [];
  let until = begin;
  for (const [from, to] of [...busy].sort((one, other) => one[0] - other[0])) {
    if (from - until >= FOLD_FROM_MS) found.push([until, from]);
    until = Math.max(until, to);
  }
  if (end - until >= FOLD_FROM_MS) found.push([until, end]);
  return found;
}

/**
 * @param {Piece[]} pieces
 * @param {number} perMs
 * @param {number} ms
 */
function place(pieces, perMs, ms) {
  let low = 0;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pieces[middle].from <= ms) low = middle;
    else high = middle - 1;
  }
  const piece = pieces[low];
  const inside = Math.min(Math.max(ms, piece.from), piece.to) - piece.from;
  return piece.x + (piece.folded ? (inside / Math.max(1, piece.to - piece.from)) * FOLD_PX : inside * perMs);
}

/**
 * @param {Piece[]} pieces
 * @param {number} perMs
 */
function ticks(pieces, perMs) {
  const step = STEPS.find((each) => each * perMs >= TICK_PX) ?? Math.ceil(TICK_PX / perMs / 864e5) * 864e5;
  const found = [];
  for (const piece of pieces) {
    if (piece.folded) continue;
    for (let at = Math.ceil(piece.from / step) * step; at <= piece.to; at += step) {
      const x = piece.x + (at - piece.from) * perMs;
      if (!found.length || x - found[found.length - 1].x >= TICK_PX * 0.6) found.push({ at, x, text: clockText(at, step) });
    }
  }
  return found;
}

/**
 * @param {number} at
 * @param {number} step between ticks: the text says no more than they need
 */
export function clockText(at, step) {
  const text = new Date(at).toISOString();
  if (step >= 864e5) return text.slice(5, 10);
  if (step >= 6e4) return text.slice(11, 16);
  return step >= 1e3 ? text.slice(11, 19) : text.slice(14, 22);
}
