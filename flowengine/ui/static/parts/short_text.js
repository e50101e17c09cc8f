// An id or a name that is cut in the middle for the eye: who selects it and copies has the whole.
import { html } from "../vendor/preact.js";
import { cutMiddle, partsOf } from "../app/format.js";
import { shownText } from "./shown_text.js";

/** What is longer is no name: of it a copy has as much as is seen. */
const MOST_CHARS = 1000;

/** @param {{text: string, most: number}} props `most`: characters that are seen */
export function ShortText({ text, most }) {
  if (text.length > MOST_CHARS) return shownText(cutMiddle(text, most));
  const { head, middle, tail } = partsOf(text, most);
  return html`${shownText(head)}${middle && html`<span class="cut-middle">${shownText(middle)}</span>`}${shownText(tail)}`;
}

/** @param {{id: string, most?: number, is?: string}} props of a run; `is`: its classes */
export const ShortId = ({ id, most = 13, is }) => html`<code class=${is} title=${id}><${ShortText} text=${id} most=${most} /></code>`;
