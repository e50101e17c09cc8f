// Which lines of two texts differ: the shortest way from one to the other, after Myers. Pure.

/**
 * @typedef {{kind: "same" | "del" | "add", text: string, before: number, after: number}} Line `before` and `after`: its numbers; 0: not there
 * @typedef {{kind: "gap", count: number}} Gap lines alike that are left out
 */

const MOST_STEPS = 500;
const AROUND = 3;

/**
 * @param {string} before
 * @param {string} after
 * @returns {Line[]}
 */
export function diffLines(before, after) {
  const old = before.split("\n");
  const now = after.split("\n");
  let first = 0;
  while (first < old.length && first < now.length && old[first] === now[first]) first += 1;
  let last = 0;
  while (last < old.length - first && last < now.length - first && old[old.length - 1 - last] === now[now.length - 1 - last]) last += 1;
  const middle = shortest(old.slice(first, old.length - last), now.slice(first, now.length - last));
  /** @type {Line[]} */
  const lines = [];
  let [left, right] = [0, 0];
  const push = (/** @type {"same" | "del" | "add"} */ kind) => {
    const text = kind === "add" ? now[right] : old[left];
    if (kind !== "add") left += 1;
    if (kind !== "del") right += 1;
    lines.push({ kind, text, before: kind === "add" ? 0 : left, after: kind === "del" ? 0 : right });
  };
  for (let each = 0; each < first; each += 1) push("same");
  for (const kind of middle) push(kind);
  for (let each = 0; each < last; each += 1) push("same");
  return lines;
}

/**
 * What is read: the lines that differ, with some around them.
 * @param {Line[]} lines
 * @returns {(Line | Gap)[]}
 */
export function withGaps(lines) {
  const near = new Uint8Array(lines.length);
  lines.forEach((line, at) => {
    if (line.kind !== "same") near.fill(1, Math.max(0, at - AROUND), at + AROUND + 1);
  });
  /** @type {(Line | Gap)[]} */
  const shown = [];
  lines.forEach((line, at) => {
    const last = shown.at(-1);
    if (near[at]) shown.push(line);
    else if (last?.kind === "gap") last.count += 1;
    else shown.push({ kind: "gap", count: 1 });
  });
  return shown;
}

/** @param {string[]} old @param {string[]} now @returns {("same" | "del" | "add")[]} all of both where they have too little in common */
function shortest(old, now) {
  const most = Math.min(old.length + now.length, MOST_STEPS);
  /** @type {Map<number, number>[]} */
  const trail = [];
  let reached = new Map([[1, 0]]);
  for (let steps = 0; steps <= most; steps += 1) {
    const next = new Map(reached);
    for (let diagonal = -steps; diagonal <= steps; diagonal += 2) {
      let x = comesDown(reached, diagonal, steps) ? reached.get(diagonal + 1) ?? 0 : (reached.get(diagonal - 1) ?? 0) + 1;
      while (x < old.length && x - diagonal < now.length && old[x] === now[x - diagonal]) x += 1;
      next.set(diagonal, x);
      if (x >= old.length && x - diagonal >= now.length) return back([...trail, reached], old.length, now.length);
    }
    trail.push(reached);
    reached = next;
  }
  return [...old.map(() => /** @type {const} */ ("del")), ...now.map(() => /** @type {const} */ ("add"))];
}

/** @param {Map<number, number>} reached @param {number} diagonal @param {number} steps Whether the furthest way there adds a line. */
function comesDown(reached, diagonal, steps) {
  return diagonal === -steps || (diagonal !== steps && (reached.get(diagonal - 1) ?? -1) < (reached.get(diagonal + 1) ?? -1));
}

/** @param {Map<number, number>[]} trail @param {number} x @param {number} y */
function back(trail, x, y) {
  /** @type {("same" | "del" | "add")[]} */
  const way = [];
  for (let steps = trail.length - 1; steps > 0; steps -= 1) {
    const diagonal = x - y;
    const isAdded = comesDown(trail[steps], diagonal, steps);
    const from = isAdded ? diagonal + 1 : diagonal - 1;
    const beforeX = trail[steps].get(from) ?? 0;
    const beforeY = beforeX - from;
    while (x > beforeX && y > beforeY && x > (isAdded ? beforeX : beforeX + 1) && y > (isAdded ? beforeY + 1 : beforeY)) {
      way.push("same");
      x -= 1;
      y -= 1;
    }
    way.push(isAdded ? "add" : "del");
    [x, y] = [beforeX, beforeY];
  }
  for (; x > 0 && y > 0; x -= 1, y -= 1) way.push("same");
  return way.reverse();
}
