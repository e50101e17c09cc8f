// What differs between two versions, as the API tells it: nodes that came and went, fields that changed.
import { html, useState } from "../../../vendor/preact.js";
import { number } from "../../../app/format.js";
import { shownText } from "../../../parts/shown_text.js";

/** @typedef {{kind: "added" | "removed" | "changed", node?: string, field?: string, before?: string, after?: string}} Difference */

const SHOWN = 20;
const VALUE_CHARS = 120;
const SIGNS = { added: { sign: "+", look: "add" }, removed: { sign: "−", look: "del" }, changed: { sign: "~", look: "mod" } };

/** @param {{differences: Difference[]}} props */
export function Changes({ differences }) {
  const [open, setOpen] = useState(false);
  if (!differences.length) return html`<div class="body quiet">They say the same: comments or the layout of the text may differ.</div>`;
  return html`<div class="body"><ul class="changes">${differences.slice(0, open ? differences.length : SHOWN).map((each, index) => html`<li key=${index}>
      <span class=${`sign ${SIGNS[each.kind].look}`} role="img" aria-label=${each.kind}>${SIGNS[each.kind].sign}</span><span><${Words} difference=${each} /></span></li>`)}</ul>
    ${differences.length > SHOWN && html`<button class="b" type="button" aria-expanded=${open} onClick=${() => setOpen(!open)}>${open ? "Fewer" : `${number(differences.length - SHOWN)} more`}</button>`}</div>`;
}

/** @param {{difference: Difference}} props */
function Words({ difference }) {
  const { kind, node, field, before, after } = difference;
  const place = html`${node !== undefined && html`<code><bdi>${shownText(node)}</bdi></code> `}${field !== undefined && html`<bdi>${shownText(field)}</bdi>${" "}`}`;
  if (kind === "changed") return html`${place}<span class="quiet">was</span> <${Text} text=${before} /> <span class="quiet">is</span> <${Text} text=${after} />`;
  const what = kind === "added" ? after : before;
  return html`${place}<span class="quiet">${kind}</span>${what !== undefined && html` <${Text} text=${what} />`}`;
}

/** @param {{text?: string}} props */
function Text({ text }) {
  if (text === undefined) return html`<span class="faint">nothing</span>`;
  const cut = text.length > VALUE_CHARS ? `${text.slice(0, VALUE_CHARS)}…` : text;
  return html`<code title=${text.length > VALUE_CHARS ? shownText(text.slice(0, 2000)) : null}><bdi>${shownText(cut)}</bdi></code>`;
}
