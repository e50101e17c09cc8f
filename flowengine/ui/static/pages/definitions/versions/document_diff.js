// The lines that differ between two versions.
import { html, useEffect, useMemo, useState } from "../../../vendor/preact.js";
import { get, withQuery } from "../../../app/api.js";
import { counted, number } from "../../../app/format.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { shownText } from "../../../parts/shown_text.js";
import { definitionPath, textOf } from "../addresses.js";
import { diffLines, withGaps } from "./line_diff.js";

const SHOWN = 120;
const LINE_CHARS = 1000;
const MOST_CHARS = 1_000_000;
const SIGNS = { same: " ", del: "−", add: "+" };

/** @param {{name: string, version: number, since: number}} props */
export function DocumentDiff({ name, version, since }) {
  const [texts, setTexts] = useState(/** @type {string[] | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [open, setOpen] = useState(false);
  const ask = () => {
    const stop = new AbortController();
    const path = (/** @type {number} */ each) => withQuery(definitionPath(name), { version: each });
    Promise.all([since, version].map((each) => get(path(each), { signal: stop.signal }))).then(
      (both) => { setTexts(both.map(textOf)); setProblem(null); },
      (error) => { if (!stop.signal.aborted) setProblem(error); },
    );
    return () => stop.abort();
  };
  useEffect(ask, []);
  const isLarge = texts !== null && texts[0].length + texts[1].length > MOST_CHARS;
  const lines = useMemo(() => (texts && !isLarge ? withGaps(diffLines(withoutEnd(texts[0]), withoutEnd(texts[1]))) : []), [texts]);
  if (problem) return html`<${ProblemNote} problem=${problem} what="Their documents" again=${ask} />`;
  if (!texts) return null;
  if (isLarge) return html`<div class="body quiet">Their documents are too large to be compared line by line here.</div>`;
  if (texts[0] === texts[1]) return html`<div class="body quiet">Their documents are the same, letter by letter.</div>`;
  return html`<div class="diff" tabindex="0" role="region" aria-label="Lines that differ"><table><tbody>
      ${lines.slice(0, open ? lines.length : SHOWN).map((line, at) => line.kind === "gap"
        ? html`<tr key=${at} class="gap"><td class="n"></td><td class="n"></td><td></td><td>${counted(line.count, "line")} alike</td></tr>`
        : html`<tr key=${at} class=${line.kind}><td class="n">${line.before || ""}</td><td class="n">${line.after || ""}</td><td>${SIGNS[line.kind]}</td>
          <td><bdi>${shownText(line.text.slice(0, LINE_CHARS))}</bdi>${line.text.length > LINE_CHARS ? "…" : ""}</td></tr>`)}</tbody></table></div>
    ${lines.length > SHOWN && !open && html`<p class="foot"><button class="b" type="button" onClick=${() => setOpen(true)}>${number(lines.length - SHOWN)} more lines</button></p>`}`;
}

/** @param {string} text A text without the end of its last line, which is no line of its own. */
const withoutEnd = (text) => text.replace(/\n$/, "");
