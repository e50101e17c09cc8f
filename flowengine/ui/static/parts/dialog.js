// A dialog over the page: the browser's own, with its focus and Escape.
import { html, useLayoutEffect, useRef } from "../vendor/preact.js";
import { Icon } from "./icon.js";

/**
 * @param {{title: string, onClose: () => void, children?: any, wide?: boolean}} props shown as long as it is rendered
 */
export function Dialog({ title, onClose, children, wide }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  // Before the next key is heard: what is typed at once goes into the dialog.
  useLayoutEffect(() => {
    box.current?.showModal();
    return () => box.current?.close();
  }, []);
  // The browser tells late that it is closed: by then another one may stand in its place, which stays open.
  const closed = () => { if (box.current) onClose(); };
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-label=${title} onClose=${closed}
      onClick=${(/** @type {MouseEvent} */ event) => { if (event.target === box.current) onClose(); }}>
    <header class="line"><h2 class="grow">${title}</h2>
      <button class="b bare square" type="button" aria-label="Close" onClick=${onClose}><${Icon} name="x" /></button></header>
    <div class="body">${children}</div></dialog>`;
}
