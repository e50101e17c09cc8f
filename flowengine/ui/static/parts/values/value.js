// A value as text, never as HTML: long ones folded, copied and downloaded whole.
import { html, useMemo, useState } from "../../vendor/preact.js";
import { bytes } from "../../app/format.js";
import { CopyButton } from "../copy_button.js";
import { saveText, shownText } from "../shown_text.js";
import { ValueTree } from "./value_tree.js";

const FOLDED_CHARS = 4_000;
const MOST_CHARS = 400_000;

/**
 * @param {{value: any, name: string}} props any JSON value, or a text that is shown as it is; `name`: for the file
 */
export function Value({ value, name }) {
  const [raw, setRaw] = useState(false);
  const isText = typeof value === "string";
  const whole = () => (isText ? value : JSON.stringify(value, null, 2) ?? "");
  const isTree = !isText && value !== null && typeof value === "object";
  const save = () => saveText(whole(), `${name}.${isText ? "txt" : "json"}`);
  return html`<div class="value">${isTree && !raw ? html`<pre tabindex="0" aria-label=${name}><${ValueTree} value=${value} /></pre>`
    : html`<${WholeText} value=${value} name=${name} />`}
    <div class="line small quiet"><${CopyButton} text=${whole} what=${name} />
      <button class="b bare" type="button" onClick=${save}>Download</button>
      ${isTree && html`<button class="b bare" type="button" aria-pressed=${raw} onClick=${() => setRaw(!raw)}>JSON</button>`}</div></div>`;
}

/** @param {{value: any, name: string}} props */
function WholeText({ value, name }) {
  const [open, setOpen] = useState(false);
  const text = useMemo(() => (typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? ""), [value]);
  const most = open ? MOST_CHARS : FOLDED_CHARS;
  return html`<pre tabindex="0" aria-label=${name}><bdi>${shownText(text.slice(0, most))}</bdi>${text.length > most ? "…" : ""}</pre>
    ${text.length > FOLDED_CHARS && html`<button class="b bare small" type="button" aria-expanded=${open} onClick=${() => setOpen(!open)}>
      ${open ? "Show less" : `Show all ${bytes(text.length)}`}</button>`}
    ${open && text.length > MOST_CHARS && html`<span class="small quiet">The rest is in the download.</span>`}`;
}
