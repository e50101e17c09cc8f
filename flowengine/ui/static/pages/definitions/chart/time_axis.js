// The axis of durations: where each stands, and the round values beside it. Pure.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 20 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE,
  10 * MINUTE, 20 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 10 * DAY, 20 * DAY, 50 * DAY,
];
const DECADES = [1, 10, 100, SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 50 * DAY];
const LINES = 4;
const FAR_APART = 25;

/**
 * @param {number[]} all durations in ms
 * @returns {{isLog: boolean, share: (ms: number) => number, marks: number[]}} `share`: of the height, from the bottom
 */
export function timeAxis(all) {
  const sorted = [...all].sort((one, other) => one - other);
  const most = Math.max(1, sorted.at(-1) ?? 1);
  const middle = Math.max(1, sorted[Math.floor(sorted.length / 2)] ?? 1);
  return most / middle > FAR_APART ? logarithmic(Math.max(1, sorted[0] ?? 1), most) : linear(most);
}

/** @param {number} most */
function linear(most) {
  const step = STEPS.find((each) => each * LINES >= most) ?? Math.ceil(most / LINES / DAY) * DAY;
  const count = Math.max(1, Math.ceil(most / step));
  const top = step * count;
  return { isLog: false, share: (/** @type {number} */ ms) => ms / top, marks: Array.from({ length: count + 1 }, (_, index) => index * step) };
}

/** @param {number} least @param {number} most */
function logarithmic(least, most) {
  const low = [...DECADES].reverse().find((each) => each <= least) ?? 1;
  const high = DECADES.find((each) => each >= most) ?? most;
  const marks = DECADES.filter((each) => each >= low && each <= high);
  const width = Math.log(high / low) || 1;
  const every = Math.ceil(marks.length / (LINES + 1));
  return { isLog: true, share: (/** @type {number} */ ms) => Math.max(0, Math.log(Math.max(ms, 1) / low) / width), marks: marks.filter((_, index) => index % every === 0) };
}

/** @param {number} ms A round value: "5 min" */
export function roundWords(ms) {
  if (ms === 0) return "0";
  for (const [size, unit] of /** @type {[number, string][]} */ ([[DAY, "d"], [HOUR, "h"], [MINUTE, "min"], [SECOND, "s"]])) {
    if (ms >= size) return `${Math.round((ms / size) * 10) / 10} ${unit}`;
  }
  return `${Math.round(ms)} ms`;
}

/** @param {number[]} values The value in the middle; NaN of none. */
export function medianOf(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}
