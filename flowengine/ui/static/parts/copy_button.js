// Copies a whole value, however little of it is shown.
import { html, useState } from "../vendor/preact.js";
import { Icon } from "./icon.js";

/** @param {{text: string | (() => string), what: string}} props `what` is copied: "the id" */
export function CopyButton({ text, what }) {
  const [said, say] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      say("Copied");
    } catch {
      say("Not possible here");
    }
    setTimeout(() => say(""), 1500);
  };
  return html`<button class="b bare square" type="button" onClick=${copy} aria-label=${`Copy ${what}`} title=${`Copy ${what}`}>
    <${Icon} name="copy" /><span class="small" role="status">${said}</span></button>`;
}
