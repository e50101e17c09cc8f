// A part that is drawn, and asked for, once it is open.
import { html, useState } from "../../../../vendor/preact.js";

/** @param {{name: string, about: any, isOpen?: boolean, children: () => any}} props */
export function Section({ name, about, isOpen, children }) {
  const [open, setOpen] = useState(Boolean(isOpen));
  return html`<details open=${open} onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}>
    <summary>${name} <i>${about}</i></summary>${open && html`<div class="inner">${children()}</div>`}</details>`;
}
