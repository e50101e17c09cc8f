// Numbers, times and ids as people read them. A number never leaves its unit.

/** Common text has some wide characters, and narrow ones beside them. */
const SLACK = 1.15;

/** @param {number} ms A duration: "12 ms", "0.4 s", "38.2 s", "1 min 4 s", "4 h 36 min", "2 d 3 h". */
export function duration(ms) {
  if (!Number.isFinite(ms)) return "–";
  const seconds = Math.max(0, ms) / 1000;
  if (ms < 100) return ms < 1 ? "<1 ms" : `${Math.round(ms)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  if (whole < 3600) return both(Math.floor(whole / 60), "min", whole % 60, "s");
  if (whole < 86_400) return both(Math.floor(whole / 3600), "h", Math.floor(whole / 60) % 60, "min");
  return both(Math.floor(whole / 86_400), "d", Math.floor(whole / 3600) % 24, "h");
}

/** @param {number} ms How long ago: "12 s ago", "6 min ago", "4 h ago", "3 d ago". */
export function ago(ms) {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  if (seconds < 1) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** @param {string | null | undefined} moment The exact time, for a title: "2026-11-28 06:35:48.000 UTC". */
export function exact(moment) {
  return moment ? `${moment.slice(0, 10)} ${moment.slice(11, 23)} UTC` : "";
}

/** @param {string | null | undefined} moment A time of the API, in ms since the epoch; NaN for none. */
export function at(moment) {
  return moment ? Date.parse(moment) : NaN;
}

/**
 * @param {string} text An id that is too long, cut in the middle.
 * @param {number} most characters
 */
export function cutMiddle(text, most) {
  const { head, middle, tail } = partsOf(text, most);
  return middle ? `${head}…${tail}` : text;
}

/**
 * What is seen of a text that is too long, and what is left out between; `middle`: "" if all is seen.
 * @param {string} text
 * @param {number} most characters, with the mark in the place of the middle
 */
export function partsOf(text, most) {
  const all = [...text];
  if (all.length <= most) return { head: text, middle: "", tail: "" };
  const end = Math.min(6, Math.floor((most - 1) / 3));
  const until = most - 1 - end;
  return { head: all.slice(0, until).join(""), middle: all.slice(until, all.length - end).join(""), tail: all.slice(-end).join("") };
}

/**
 * Cut in the middle what is drawn, where no browser wraps or clips it.
 * @param {string} text
 * @param {number} most characters of common width; of wide ones fewer
 */
export function cutToFit(text, most) {
  const first = [...text].slice(0, most);
  let wide = 0;
  for (const each of first) wide += widthOf(each);
  return wide <= most * SLACK ? cutMiddle(text, most) : cutMiddle(text, Math.floor((most * first.length) / wide));
}

/**
 * What is drawn for several nodes that are alike: the first of them, and how many more.
 * @param {string} first
 * @param {number} count of all
 * @param {number} most characters
 * @param {boolean} [short] "part_00 +19", not "part_00 and 19 more"
 */
export function stackName(first, count, most, short) {
  const more = short ? ` +${count - 1}` : ` and ${count - 1} more`;
  return cutToFit(first, most - more.length) + more;
}

/** @param {string} character as a multiple of the common width */
function widthOf(character) {
  if (character >= "\u1100") return 2.1;
  if (/[MWmw@%]/.test(character)) return 1.7;
  return /[A-Z]/.test(character) ? 1.5 : 1;
}

/** @param {number} count "1,248" */
export function number(count) {
  return count.toLocaleString("en-US");
}

/**
 * @param {number} count
 * @param {string} one "1 node", "26 nodes"
 * @param {string} [many]
 */
export function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** @param {number} size in bytes: "64 KiB" */
export function bytes(size) {
  if (size < 1024) return `${size} B`;
  if (size < 1024 ** 2) return `${(size / 1024).toFixed(size < 10_240 ? 1 : 0)} KiB`;
  return `${(size / 1024 ** 2).toFixed(1)} MiB`;
}

/**
 * @param {number} large
 * @param {string} unit
 * @param {number} small
 * @param {string} smaller
 */
function both(large, unit, small, smaller) {
  return small ? `${large} ${unit} ${small} ${smaller}` : `${large} ${unit}`;
}
