// A document with the numbers of its lines.
import { html, useMemo } from "../../../../vendor/preact.js";
import { CopyButton } from "../../../../parts/copy_button.js";
import { saveText, shownText } from "../../../../parts/shown_text.js";

const MOST_CHARS = 500_000;

/** @param {{text: any, name: string}} props */
export function DocumentText({ text, name }) {
  const isJson = typeof text !== "string";
  const whole = isJson ? JSON.stringify(text, null, 2) : text;
  const shown = useMemo(() => shownText(whole.slice(0, MOST_CHARS)), [whole]);
  const numbers = useMemo(() => shown.split("\n").map((/** @type {string} */ _, /** @type {number} */ index) => index + 1).join("\n"), [shown]);
  return html`<div class="numbered" tabindex="0" role="region" aria-label="The document"><pre class="numbers" aria-hidden="true">${numbers}</pre><pre><bdi>${shown}</bdi></pre></div>
    ${whole.length > MOST_CHARS && html`<p class="small quiet">The rest is in the download.</p>`}
    <div class="line small quiet"><${CopyButton} text=${whole} what="the document" />
    <button class="b bare" type="button" onClick=${() => saveText(whole, `${name}.${isJson ? "json" : "yaml"}`)}>Download</button></div>`;
}
