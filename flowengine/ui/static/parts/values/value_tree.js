// A JSON value as lines that people read: keys and indents, large parts folded until they are asked for.
import { html, useMemo, useState } from "../../vendor/preact.js";
import { bytes, counted, number } from "../../app/format.js";
import { shownText } from "../shown_text.js";

const OPEN_ITEMS = 40;
const OPEN_DEPTH = 4;
const MORE_ITEMS = 200;
const FOLDED_CHARS = 400;
const MOST_CHARS = 100_000;
const KEY_CHARS = 200;
/** Texts that would look like something else without quotes. */
const AMBIGUOUS = /^$|^\s|\s$|^(true|false|null|~|-|-?\d.*)$|^[[{"'#&*!|>%@`]|: |:$| #/;

/** @param {{value: any, depth?: number}} props */
export function ValueTree({ value, depth = 0 }) {
  return html`<${Part} value=${value} depth=${depth} isRoot />`;
}

/** @param {{value: any, depth: number, inline?: boolean, isRoot?: boolean}} props */
function Part({ value, depth, inline, isRoot }) {
  if (value === null || typeof value !== "object") return html`<${Scalar} value=${value} depth=${depth} />`;
  const size = Array.isArray(value) ? value.length : Object.keys(value).length;
  if (!size) return Array.isArray(value) ? "[]" : "{}";
  return html`<${Items} value=${value} size=${size} depth=${depth} inline=${inline} isRoot=${isRoot} />`;
}

/** @param {{value: any, size: number, depth: number, inline?: boolean, isRoot?: boolean}} props */
function Items({ value, size, depth, inline, isRoot }) {
  const [shown, show] = useState(isRoot || (size <= OPEN_ITEMS && depth < OPEN_DEPTH) ? OPEN_ITEMS : 0);
  const what = useMemo(() => (shown ? "" : sizeWords(value, size)), [value, !shown]);
  if (!shown) return html`<button type="button" class="folded" aria-expanded="false" onClick=${() => show(OPEN_ITEMS)}>${what}: show</button>`;
  const indent = isRoot || inline ? "" : `\n${"  ".repeat(depth)}`;
  const next = `\n${"  ".repeat(depth)}`;
  const isList = Array.isArray(value);
  const keys = isList ? null : Object.keys(value);
  const count = Math.min(size, shown);
  const lines = [];
  for (let index = 0; index < count; index += 1) {
    const key = keys ? keys[index] : index;
    lines.push(html`${index ? next : indent}${isList ? html`<span class="k">- </span>`
      : html`<span class="k"><bdi>${shownText(String(key).slice(0, KEY_CHARS))}</bdi>${String(key).length > KEY_CHARS ? "…" : ""}: </span>`}<${Part} key=${key} value=${value[key]} depth=${depth + 1} inline=${isList} />`);
  }
  return html`${lines}${count < size && html`${next}<button type="button" class="folded" onClick=${() => show(shown + MORE_ITEMS)}>… ${number(size - count)} more</button>`}`;
}

/** @param {{value: any, depth: number}} props */
function Scalar({ value, depth }) {
  const [open, setOpen] = useState(false);
  if (typeof value !== "string") return html`<span class="v">${String(value)}</span>`;
  if (value === "***") return html`<span class="hid">***</span>`;
  const most = open ? MOST_CHARS : FOLDED_CHARS;
  const text = shownText(value.slice(0, most));
  const inner = `\n${"  ".repeat(depth)}`;
  const told = text.includes("\n") ? `|${inner}${text.replaceAll("\n", inner)}` : AMBIGUOUS.test(value) ? JSON.stringify(text) : text;
  return html`<bdi>${told}</bdi>${value.length > FOLDED_CHARS && html`${value.length > most ? "…" : ""} <button type="button" class="folded"
    aria-expanded=${open} onClick=${() => setOpen(!open)}>${open ? "less" : `all ${number(value.length)} characters`}</button>`}${
    open && value.length > MOST_CHARS && " The rest is in the download."}`;
}

/**
 * @param {any} value
 * @param {number} size
 */
function sizeWords(value, size) {
  const first = Array.isArray(value) ? value[0] : null;
  const kind = !Array.isArray(value) ? "field" : first !== null && typeof first === "object" && !Array.isArray(first) ? "object" : "value";
  return `[${counted(size, kind)}, ${bytes(JSON.stringify(value).length)}]`;
}
