// The document of a version with its line numbers; one line may be pointed at.
import { html, useLayoutEffect, useMemo, useRef } from "../../vendor/preact.js";
import { CopyButton } from "../../parts/copy_button.js";
import { saveText, shownText } from "../../parts/shown_text.js";

const MOST_CHARS = 500_000;
const LINE_PX = 20;
const TOP_PX = 8;
const ABOVE_LINES = 6;

/** @param {{text: string, name: string, type: string, line: number}} props `line`: that is pointed at; 0: none */
export function DocumentLines({ text, name, type, line }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const mark = useRef(/** @type {HTMLElement | null} */ (null));
  const shown = useMemo(() => shownText(text.slice(0, MOST_CHARS)), [text]);
  const count = useMemo(() => shown.split("\n").length, [shown]);
  const numbers = useMemo(() => Array.from({ length: count }, (_, index) => index + 1).join("\n"), [count]);
  const at = line > 0 && line <= count ? line : 0;
  useLayoutEffect(() => {
    if (!at || !box.current || !mark.current) return;
    mark.current.style.top = `${(at - 1) * LINE_PX + TOP_PX}px`;
    box.current.scrollTop = Math.max(0, (at - ABOVE_LINES) * LINE_PX);
  }, [at, shown]);
  return html`<section class="card document" aria-label="Document"><div class="numbered lined" tabindex="0" role="region" aria-label="The document" ref=${box}>
      ${at > 0 && html`<div class="pointed" ref=${mark}><span class="unseen">Line ${at}</span></div>`}
      <pre class="numbers" aria-hidden="true">${numbers}</pre><pre><bdi>${shown}</bdi></pre></div>
    <div class="line small quiet foot">${text.length > MOST_CHARS && "The rest is in the download."}<${CopyButton} text=${text} what="the document" />
      <button class="b bare" type="button" onClick=${() => saveText(text, `${name}.${type.includes("json") ? "json" : "yaml"}`)}>Download</button></div></section>`;
}
