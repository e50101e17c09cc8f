// What is wrong with the document, each with its place and, where a name is proposed, the button that puts it right.
import { html } from "../../vendor/preact.js";
import { Icon } from "../../parts/icon.js";
import { wanted } from "./editor.js";
import { text, write } from "./new_draft.js";
import { fixOf } from "./quick_fix.js";

const MOST_SHOWN = 50;

/** @typedef {import("./new_draft.js").Found} Found */

/** @param {{problems: Found[], warnings: Found[]}} props */
export function ProblemList({ problems, warnings }) {
  const all = [
    ...problems.map((found) => ({ found, look: "failed", icon: "failed" })),
    ...warnings.map((found) => ({ found, look: "waiting", icon: "warn" })),
  ];
  if (!all.length) return null;
  return html`<div class="problems"><ul aria-label="Problems">${all.slice(0, MOST_SHOWN).map(({ found, look, icon }) => html`
    <li class=${`is-${look}`}>${place(found)}<${Icon} name=${icon} />
      <span class="grow says"><span class="unseen">${look === "failed" ? "Problem: " : "Warning: "}</span><bdi>${found.message}</bdi>
        ${" "}<code class="faint">${found.code}</code></span><${Fix} problem=${found} /></li>`)}
    ${all.length > MOST_SHOWN && html`<li class="quiet">and ${all.length - MOST_SHOWN} more: these first</li>`}</ul></div>`;
}

/** @param {Found} found */
function place(found) {
  if (!found.line) return html`<span class="where">–</span>`;
  const { line, column = 1 } = found;
  return html`<button class="where" type="button" title="Go there" aria-label=${`Go to line ${line}, column ${column}`}
    onClick=${() => goToLine(line, column)}>${line}:${column}</button>`;
}

/** @param {{problem: Found}} props */
function Fix({ problem }) {
  const fix = fixOf(problem, text.value);
  if (!fix) return null;
  const replace = () => {
    const now = text.value;
    const again = fixOf(problem, now);
    if (!again) return;
    write(now.slice(0, again.start) + again.by + now.slice(again.end));
    wanted.value = { start: again.start, end: again.start + again.by.length };
  };
  return html`<button class="b" type="button" onClick=${replace}>Replace by <code>${fix.by}</code></button>`;
}

/**
 * @param {number} line
 * @param {number} column
 */
export function goToLine(line, column) {
  const lines = text.value.split("\n");
  let start = 0;
  for (let before = 0; before < Math.min(line - 1, lines.length); before += 1) start += lines[before].length + 1;
  start = Math.min(text.value.length, start + Math.min(column - 1, lines[line - 1]?.length ?? 0));
  wanted.value = { start, end: start };
}

/**
 * The first problem of each node.
 * @param {import("./new_draft.js").NodePlace[]} nodes
 * @param {Found[]} problems
 */
export function problemsByNode(nodes, problems) {
  const ids = new Map(nodes.map((node) => [node.pointer, node.id]));
  /** @type {Map<string, Found>} */
  const found = new Map();
  for (const problem of problems) {
    const id = ids.get(problem.pointer.replace(/^\/workflow/, "").split("/").slice(0, 3).join("/"));
    if (id !== undefined && !found.has(id)) found.set(id, problem);
  }
  return found;
}
