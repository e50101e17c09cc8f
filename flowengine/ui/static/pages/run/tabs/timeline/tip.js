// What a bar says of itself, in a place where it covers no other bar.
import { duration } from "../../../../app/format.js";
import { html } from "../../../../vendor/preact.js";
import { placed } from "../../../../parts/virtual_rows.js";
import { errorWords, skippedWords } from "../../words/node_words.js";
import { extentOf, ROW } from "./row_bars.js";

const CHAR_PX = 6.4;
const LINE_PX = 18;

/**
 * @typedef {import("./time_rows.js").TimeRow} TimeRow
 * @param {TimeRow} row
 * @param {number} index of the span
 * @param {number} now
 * @returns {string[]}
 */
export function tipLines(row, index, now) {
  const span = row.spans[index];
  if (!span) return [];
  const took = duration((span.to ?? now) - span.from);
  const times = span.to === null ? `since ${clock(span.from)}` : `${clock(span.from)} to ${clock(span.to)}`;
  const next = row.spans[index + 1];
  const tries = Math.max(...row.spans.map(({ attempt }) => attempt));
  const which = tries > 1 ? `Try ${span.attempt} of ${tries}` : "Ran";
  if (span.kind === "queued") return [`In the queue for ${took}`, times];
  if (span.kind === "backoff") return [`Pause of ${took} before the next try`, times];
  if (span.kind === "wait") return [`Waits for an answer, ${took}`, times];
  if (span.kind === "moment") return [momentWords(row, span), `at ${clock(span.from)}`];
  const outcome = span.outcome === "retried" || span.outcome === "failed" ? errorWords({ code: span.code ?? "failed" })
    : span.outcome === "returned" ? "given back by its worker" : span.outcome ?? "runs";
  const lines = [`${which}: ${outcome}`, span.guessed ? `ended at ${clock(span.from)}, too short to measure` : `${times}, ran ${took}`];
  if (next?.kind === "backoff") lines.push(`next try ${next.to === null ? "follows" : `${duration(next.to - next.from)} later`}`);
  return lines;
}

/**
 * @param {TimeRow} row
 * @param {import("../../history/attempt_log.js").Span} span
 */
function momentWords({ node }, span) {
  if (span.outcome === "skipped") return `Skipped: ${skippedWords(span.reason)}`;
  if (span.outcome === "cancelled") return "Cancelled before it ran";
  return node.error?.caused_by ? `Not run: ${node.error.caused_by} failed` : `Failed: ${errorWords({ code: span.code ?? "failed" })}`;
}

/** @param {number} ms "06:27:14.021" */
const clock = (ms) => new Date(ms).toISOString().slice(11, 23);

/**
 * Where a tip lies: beside its bar, over rows that are empty there; null where there is no such place.
 * @param {{rows: TimeRow[], at: number, lines: string[], scale: import("./time_scale.js").Scale, now: number, width: number, names: number}} asked
 */
export function tipPlace({ rows, at, lines, scale, now, width, names }) {
  const height = lines.length * LINE_PX + 12;
  const wide = Math.max(...lines.map((line) => line.length)) * CHAR_PX + 22;
  const top = Math.max(0, Math.min(at * ROW + ROW / 2 - height / 2, Math.max(rows.length, 3) * ROW - height));
  const near = rows.slice(Math.floor(top / ROW), Math.ceil((top + height) / ROW)).filter(({ spans }) => spans.length)
    .map((row) => extentOf(row, scale, now, width));
  const right = Math.max(0, ...near.map(({ end }) => end)) + 12;
  if (right + wide <= width) return { left: names + right, top };
  const left = Math.min(...near.map(({ x }) => x)) - wide - 12;
  return left >= 0 ? { left: names + left, top } : null;
}

/** @param {{lines: string[], place: {left: number, top: number}}} props */
export function Tip({ lines, place }) {
  return html`<div class="tip" role="tooltip" ref=${placed(place)}>${lines.map((line) => html`<div><bdi>${line}</bdi></div>`)}</div>`;
}
