// "Did you mean": what can be replaced by the name that a problem proposes. Pure.

const PROPOSAL = /'([^'\n]{1,200})'[^']*did you mean '([^'\n]{1,200})'\?/;
const LINES_ABOVE = 3;
const MOST_SEARCHED = 1000;
const QUOTED = /'([^'\n]{1,200})'/;

/** @typedef {{start: number, end: number, by: string}} Fix `start` and `end`: places in the text */

/**
 * The word is looked for in the problem's line, then above it: a problem stands at a value, whose name may be above.
 * @param {{message: string, line?: number, column?: number}} problem
 * @param {string} text
 * @returns {Fix | null}
 */
export function fixOf(problem, text) {
  const proposed = PROPOSAL.exec(problem.message);
  if (!proposed || !problem.line) return null;
  const [, wrong, by] = proposed;
  const lines = text.split("\n");
  for (let line = problem.line; line >= Math.max(1, problem.line - LINES_ABOVE); line -= 1) {
    const column = placeOf(wrong, lines[line - 1] ?? "", line === problem.line ? (problem.column ?? 1) - 1 : Infinity);
    if (column < 0) continue;
    const start = startOf(lines, line) + column;
    return { start, end: start + wrong.length, by };
  }
  return null;
}

/**
 * Where a problem is marked: at the word that its message begins with, if that stands in its line.
 * @param {{message: string, line?: number, column?: number}} problem
 * @param {string[]} lines
 * @returns {{line: number, column: number, length?: number}}
 */
export function markOf(problem, lines) {
  const { line = 0, column = 1 } = problem;
  const word = QUOTED.exec(problem.message)?.[1] ?? "";
  const found = word ? placeOf(word, (lines[line - 1] ?? "").slice(0, MOST_SEARCHED), column - 1) : -1;
  return found < 0 ? { line, column } : { line, column: found + 1, length: word.length };
}

/**
 * @param {string[]} lines
 * @param {number} line counted from 1
 */
function startOf(lines, line) {
  let start = 0;
  for (let before = 0; before < line - 1; before += 1) start += lines[before].length + 1;
  return start;
}

/**
 * Where the word stands as a word of its own, nearest to a column; -1 for nowhere.
 * @param {string} word
 * @param {string} line
 * @param {number} near
 */
function placeOf(word, line, near) {
  let best = -1;
  for (let at = line.indexOf(word); at >= 0; at = line.indexOf(word, at + 1)) {
    const alone = !/[\w-]/.test(line[at - 1] ?? "") && !/[\w-]/.test(line[at + word.length] ?? "");
    if (alone && (best < 0 || Math.abs(at - near) < Math.abs(best - near))) best = at;
  }
  return best;
}
