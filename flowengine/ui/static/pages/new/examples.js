// Workflows to begin with: they come with the page, and run without any network.
import { html, useState } from "../../vendor/preact.js";
import { Dialog } from "../../parts/dialog.js";

/** @typedef {{name: string, title: string, about: string}} Example */

/** @type {Example[]} */
export const EXAMPLES = [
  { name: "first", title: "First steps", about: "Five nodes, two of them side by side" },
  { name: "inputs", title: "Inputs", about: "A form with types, choices and defaults" },
  { name: "branches", title: "Branches", about: "One of two ways, by an input" },
  { name: "failure", title: "A failure", about: "Tries, a failure that is tolerated, and one that is not" },
];

/** @param {string} name @returns {Promise<string>} the document; raises Error where there is no such example */
export async function loadExample(name) {
  if (!EXAMPLES.some((each) => each.name === name)) {
    throw new Error(`There is no example ${name.slice(0, 40)}. There are: ${EXAMPLES.map((each) => each.name).join(", ")}`);
  }
  const answer = await fetch(new URL(`../../examples/${name}.yaml`, import.meta.url));
  if (!answer.ok) throw new Error(`The example could not be loaded: ${answer.status} ${answer.statusText}`);
  return answer.text();
}

/** @param {{onChosen?: () => void}} props */
export function ExampleList({ onChosen }) {
  return html`<ul class="examples">${EXAMPLES.map((each) => html`<li key=${each.name}><a href=${`/ui/new?example=${each.name}`} onClick=${onChosen}>
    <b>${each.title}</b><span class="quiet">${each.about}</span></a></li>`)}</ul>`;
}

/** The way to the examples where a document is written already. */
export function ChooseExample() {
  const [open, setOpen] = useState(false);
  const close = () => setOpen(false);
  return html`<button class="b bare" type="button" aria-haspopup="dialog" onClick=${() => setOpen(true)}>Examples</button>
    ${open && html`<${Dialog} title="Examples" onClose=${close}><p class="quiet">What is written now is kept, and can be brought back.</p>
      <${ExampleList} onChosen=${close} /></${Dialog}>`}`;
}
