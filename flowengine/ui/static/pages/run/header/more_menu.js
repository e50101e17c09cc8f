// A menu of further actions.
import { html, useEffect, useRef, useState } from "../../../vendor/preact.js";

/**
 * @typedef {{name: string, run?: () => void, href?: string, danger?: boolean, why?: string}} Item `why` it is not possible now
 * @param {{items: Item[]}} props
 */
export function MoreMenu({ items }) {
  const [open, setOpen] = useState(false);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const shut = () => {
    setOpen(false);
    button.current?.focus();
  };
  useEffect(() => {
    if (!open) return undefined;
    const first = box.current?.querySelector("[role=menuitem]");
    if (first instanceof HTMLElement) first.focus();
    const away = (/** @type {Event} */ event) => { if (!box.current?.contains(/** @type {Node} */ (event.target))) setOpen(false); };
    addEventListener("pointerdown", away);
    return () => removeEventListener("pointerdown", away);
  }, [open]);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (!open) return;
    const all = [...(box.current?.querySelectorAll("[role=menuitem]") ?? [])];
    const at = all.indexOf(/** @type {Element} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") {
      event.stopPropagation();
      shut();
    } else if (to !== undefined) {
      event.preventDefault();
      const next = all[(to + all.length) % all.length];
      if (next instanceof HTMLElement) next.focus();
    }
  };
  return html`<span class="more" ref=${box} onKeyDown=${onKeyDown}><button class="b" type="button" ref=${button} aria-haspopup="menu"
      aria-expanded=${open ? "true" : "false"} onClick=${() => setOpen(!open)}>More</button>
    ${open && html`<div class="menu" role="menu" aria-label="More actions">${items.map((item) => item.href
      ? html`<a key=${item.name} role="menuitem" tabindex="-1" href=${item.href}>${item.name}</a>`
      : html`<button key=${item.name} type="button" role="menuitem" tabindex="-1" class=${item.danger ? "danger" : ""} aria-disabled=${item.why ? "true" : null}
          title=${item.why ?? null} onClick=${() => { if (!item.why) { shut(); item.run?.(); } }}>${item.name}</button>`)}</div>`}</span>`;
}
