// A value as text, never as HTML: long ones folded, copied and downloaded whole.
import { html, useState } from "../vendor/preact.js";
import { bytes } from "../app/format.js";
import { CopyButton } from "./copy_button.js";

const FOLDED_CHARS = 4_000;
const MOST_CHARS = 400_000;

/**
 * @param {{value: any, name: string}} props any JSON value, or a text that is shown as it is; `name`: for the file
 */
export function Value({ value, name }) {
  const [open, setOpen] = useState(false);
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "";
  const most = open ? MOST_CHARS : FOLDED_CHARS;
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
    link.download = `${name.replace(/[^\w.-]+/g, "_")}.${typeof value === "string" ? "txt" : "json"}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  return html`<div class="value"><pre tabindex="0"><bdi>${text.slice(0, most)}</bdi>${text.length > most ? "…" : ""}</pre>
    <div class="line small quiet"><${CopyButton} text=${text} what=${name} />
      <button class="b bare" type="button" onClick=${save}>Download</button>
      ${text.length > FOLDED_CHARS && html`<button class="b bare" type="button" aria-expanded=${open} onClick=${() => setOpen(!open)}>
        ${open ? "Show less" : `Show all ${bytes(text.length)}`}</button>`}
      ${open && text.length > MOST_CHARS && html`<span>The rest is in the download.</span>`}</div></div>`;
}
