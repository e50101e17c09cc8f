// Lines as they are read: the newest of them are in the page, long ones folded.
import { html, useLayoutEffect, useRef, useState } from "../../../../vendor/preact.js";
import { exact, number } from "../../../../app/format.js";
import { shownLine } from "../../../../parts/shown_text.js";
import { fieldsOf, levelOf } from "../../history/run_lines.js";
import { select } from "../../selection.js";

const SHOWN = 1000;
const FOLDED_CHARS = 500;
const BY_HAND_MS = 1500;

/**
 * @typedef {import("../../history/run_lines.js").LogLine} LogLine
 * @param {{lines: LogLine[], follow: boolean, onScrolled?: (atEnd: boolean) => void, oneNode?: boolean, label: string}} props
 *   `oneNode`: they are all of one, which is not named then
 */
export function LogLines({ lines, follow, onScrolled, oneNode, label }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [older, showOlder] = useState(0);
  const [cache] = useState(() => /** @type {WeakMap<LogLine, any>} */ (new WeakMap()));
  const begin = Math.max(0, lines.length - SHOWN - older);
  const shown = lines.slice(begin, follow || !older ? undefined : begin + 2 * SHOWN);
  const after = lines.length - begin - shown.length;
  const moved = useRef(0);
  useLayoutEffect(() => {
    if (!follow) return undefined;
    const toEnd = () => { if (box.current) box.current.scrollTop = box.current.scrollHeight; };
    toEnd();
    // Rows that come into sight get their true height a frame later.
    const later = requestAnimationFrame(toEnd);
    return () => cancelAnimationFrame(later);
  });
  const byHand = () => { moved.current = performance.now(); };
  // Only a person who scrolls ends or begins the following: rows that find their height scroll as well.
  const scrolled = () => {
    const element = box.current;
    if (element && performance.now() - moved.current < BY_HAND_MS) onScrolled?.(element.scrollHeight - element.scrollTop - element.clientHeight < 30);
  };
  return html`<div class="lines" ref=${box} tabindex="0" role="log" aria-live="off" aria-label=${label} onScroll=${scrolled}
      onWheel=${byHand} onTouchMove=${byHand} onPointerDown=${byHand} onKeyDown=${byHand}>
    ${begin > 0 && html`<p class="tab-note">${number(begin)} older lines. <button class="b" type="button" onClick=${() => showOlder(older + SHOWN)}>Show ${number(Math.min(begin, SHOWN))} of them</button></p>`}
    ${shown.map((line) => {
      let drawn = cache.get(line);
      if (!drawn) cache.set(line, drawn = html`<${Line} key=${line.id} line=${line} oneNode=${oneNode} />`);
      return drawn;
    })}
    ${after > 0 && html`<p class="tab-note">${number(after)} newer lines. <button class="b" type="button" onClick=${() => showOlder(0)}>Show the newest</button></p>`}</div>`;
}

/** @param {{line: LogLine, oneNode?: boolean}} props */
function Line({ line, oneNode }) {
  const [open, setOpen] = useState(false);
  const level = levelOf(line);
  const look = level >= 3 ? " is-failed" : level === 2 ? " is-waiting" : level === 0 ? " low" : "";
  const message = shownLine(line.message);
  const fields = shownLine(fieldsOf(line));
  const cut = message.length + fields.length > FOLDED_CHARS && !open;
  const about = `${line.attempt > 1 ? `try ${line.attempt}` : ""}${line.delivery ? ` delivery ${line.delivery}` : ""}`;
  return html`<div class=${`log-line${look}`}><time title=${exact(line.at)}>${line.at.slice(11, 23)}</time>
    ${!oneNode && html`<button type="button" class="as-text node cut" title=${line.node} onClick=${() => select(line.node)}><bdi>${line.node}</bdi></button>`}
    <span class="level">${line.level ?? line.source}</span><span class="said">${about && html`<span class="faint">${about} </span>`}<bdi>${cut ? message.slice(0, FOLDED_CHARS) : message}</bdi>
    ${fields && html` <bdi class="fields">${cut ? fields.slice(0, Math.max(0, FOLDED_CHARS - message.length)) : fields}</bdi>`}
    ${cut && html`… <button type="button" class="b bare" onClick=${() => setOpen(true)}>all ${number(message.length + fields.length)} characters</button>`}</span></div>`;
}
