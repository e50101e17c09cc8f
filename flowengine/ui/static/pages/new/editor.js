// The editor: a plain text field, with numbers and marks beside and behind it. Only the lines in view are drawn.
import { html, signal, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../vendor/preact.js";
import { isJson, wordsOfLine } from "./code_words.js";
import { write } from "./new_draft.js";

const LINE_PX = 20;
const TOP_PX = 8;
const SPARE_LINES = 6;
const LONGEST_DRAWN = 1000;
const LARGE_PASTE = 50_000;

/** A place to go to: the editor takes it up. */
export const wanted = signal(/** @type {{start: number, end: number} | null} */ (null));

/**
 * @typedef {{line: number, column: number, length?: number, look: "failed" | "waiting"}} Mark
 * @param {{text: string, marks: Mark[], label: string}} props
 */
export function Editor({ text, marks, label }) {
  const field = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const [view, setView] = useState({ top: 0, left: 0, height: 600 });
  const [leaves, setLeaves] = useState(false);
  const lines = useMemo(() => text.split("\n"), [text]);
  const isPlain = useMemo(() => lines.some((line) => line.length > LONGEST_DRAWN), [lines]);
  const look = () => {
    const box = field.current;
    if (box) setView({ top: box.scrollTop, left: box.scrollLeft, height: box.clientHeight });
  };
  useLayoutEffect(() => {
    if (field.current && field.current.value !== text) field.current.value = text;
    look();
  }, [text]);
  useEffect(() => {
    const sizes = new ResizeObserver(look);
    if (field.current) sizes.observe(field.current);
    return () => sizes.disconnect();
  }, []);
  const goal = wanted.value;
  useEffect(() => {
    if (!goal || !field.current) return;
    goTo(field.current, goal.start, goal.end);
    wanted.value = null;
  }, [goal]);
  const press = (/** @type {KeyboardEvent} */ event) => {
    const box = field.current;
    if (!box || event.isComposing) return;
    if (event.key === "Escape") setLeaves(true);
    else if (event.key !== "Tab" && event.key !== "Shift") setLeaves(false);
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || leaves) return;
    if (event.key === "Tab") insert(event, box, "  ");
    if (event.key === "Enter") insert(event, box, `\n${indentAt(box)}`);
  };
  const paste = (/** @type {ClipboardEvent} */ event) => {
    const box = field.current;
    const pasted = event.clipboardData?.getData("text/plain") ?? "";
    if (!box || pasted.length < LARGE_PASTE) return;
    // Browsers take minutes for some thousand lines at once, line by line: it cannot be undone, but it is there.
    event.preventDefault();
    box.setRangeText(pasted.replaceAll("\r\n", "\n"), box.selectionStart, box.selectionEnd, "end");
    write(box.value);
  };
  return html`<div class=${isPlain ? "editor plain" : "editor"}>
    <${Numbers} count=${lines.length} marks=${marks} view=${view} />
    <div class="sheet-text">
      <${Lines} lines=${lines} marks=${marks} view=${view} isJson=${isJson(text)} isPlain=${isPlain} />
      <textarea ref=${field} aria-label=${label} aria-describedby="editor-help" spellcheck=${false} autocomplete="off" autocapitalize="off"
        autocorrect="off" wrap="off" onScroll=${look} onKeyDown=${press} onPaste=${paste} onBlur=${() => setLeaves(false)} dir="ltr"
        placeholder="Paste or type a workflow here, or drop a file"
        onInput=${(/** @type {InputEvent} */ event) => write(/** @type {HTMLTextAreaElement} */ (event.target).value)}></textarea>
    </div>
    <span class="unseen" id="editor-help">Tab indents. Press Escape, then Tab, to leave the editor.</span>
    <span class="unseen" role="status">${leaves ? "Tab leaves the editor now" : ""}</span></div>`;
}

/** @param {{top: number, height: number}} view @param {number} count */
function inView(view, count) {
  const first = Math.max(0, Math.floor((view.top - TOP_PX) / LINE_PX) - SPARE_LINES);
  return { first, last: Math.min(count, first + Math.ceil(view.height / LINE_PX) + 2 * SPARE_LINES) };
}

/** @param {{count: number, marks: Mark[], view: {top: number, height: number}}} props */
function Numbers({ count, marks, view }) {
  const { first, last } = inView(view, count);
  const box = useMoved(0, first * LINE_PX + TOP_PX - view.top);
  const looks = new Map(marks.map((mark) => [mark.line, mark.look]));
  for (const mark of marks) if (mark.look === "failed") looks.set(mark.line, "failed");
  const rows = [];
  for (let line = first + 1; line <= last; line += 1) {
    rows.push(html`<li key=${line} class=${looks.has(line) ? `is-${looks.get(line)}` : ""}>${line}</li>`);
  }
  return html`<div class="numbers" aria-hidden="true"><ol ref=${box}>${rows}</ol></div>`;
}

/** @param {{lines: string[], marks: Mark[], view: {top: number, left: number, height: number}, isJson: boolean, isPlain: boolean}} props */
function Lines({ lines, marks, view, isJson: json, isPlain }) {
  const { first, last } = inView(view, lines.length);
  const box = useMoved(-view.left, first * LINE_PX + TOP_PX - view.top);
  /** @type {Map<number, Mark[]>} */
  const byLine = new Map();
  for (const mark of marks) byLine.set(mark.line, [...(byLine.get(mark.line) ?? []), mark]);
  const rows = [];
  for (let line = first + 1; line <= last; line += 1) {
    const found = byLine.get(line) ?? [];
    const look = found.some((mark) => mark.look === "failed") ? "failed" : found[0]?.look;
    const body = isPlain ? "" : marked(lines[line - 1], found, json);
    rows.push(html`<li key=${line} class=${look ? `is-${look}` : ""}>${body}</li>`);
  }
  return html`<ol class="drawn" aria-hidden="true" ref=${box}>${rows}</ol>`;
}

/**
 * A line with its colours, and a wave under what a problem is about.
 * @param {string} line
 * @param {Mark[]} marks
 * @param {boolean} json
 */
function marked(line, marks, json) {
  const words = wordsOfLine(line, json);
  if (!marks.length) return words.map(({ look, text }) => look ? html`<span class=${look}>${text}</span>` : text);
  const spans = marks.map(({ column, length }) => {
    const start = Math.min(column - 1, line.length);
    return { start, end: start + (length ?? Math.max(1, /^["']?[\w$.-]+["']?|^./.exec(line.slice(start))?.[0].length ?? 1)) };
  });
  let at = 0;
  return words.flatMap(({ look, text }) => {
    const from = at;
    at += text.length;
    const cuts = [0, text.length, ...spans.flatMap(({ start, end }) => [start - from, end - from])]
      .filter((cut) => cut >= 0 && cut <= text.length).sort((one, other) => one - other);
    return cuts.slice(1).map((cut, index) => {
      const part = text.slice(cuts[index], cut);
      const isWrong = spans.some(({ start, end }) => from + cuts[index] >= start && from + cut <= end);
      return part && html`<span class=${look}>${isWrong ? html`<u>${part}</u>` : part}</span>`;
    });
  });
}

/**
 * Moves a box by the script, since the page's policy allows no style in markup.
 * @param {number} x
 * @param {number} y
 */
function useMoved(x, y) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => { if (box.current) box.current.style.transform = `translate(${x}px, ${y}px)`; });
  return box;
}

/**
 * Typed by the page: it can be undone as what is typed by hand.
 * @param {KeyboardEvent} event
 * @param {HTMLTextAreaElement} box
 * @param {string} what
 */
function insert(event, box, what) {
  event.preventDefault();
  if (!document.execCommand("insertText", false, what)) {
    box.setRangeText(what, box.selectionStart, box.selectionEnd, "end");
    write(box.value);
  }
}

/** @param {HTMLTextAreaElement} box The white space that the line of the caret begins with. */
function indentAt(box) {
  const before = box.value.slice(0, box.selectionStart);
  return /^[ \t]*/.exec(before.slice(before.lastIndexOf("\n") + 1))?.[0] ?? "";
}

/**
 * @param {HTMLTextAreaElement} box
 * @param {number} start
 * @param {number} end
 */
function goTo(box, start, end) {
  box.focus({ preventScroll: true });
  box.setSelectionRange(start, end);
  const line = box.value.slice(0, start).split("\n").length;
  const top = (line - 1) * LINE_PX + TOP_PX;
  if (top < box.scrollTop || top > box.scrollTop + box.clientHeight - 2 * LINE_PX) {
    box.scrollTop = Math.max(0, top - box.clientHeight / 3);
  }
  box.scrollLeft = 0;
  box.scrollIntoView({ block: "nearest" });
}
