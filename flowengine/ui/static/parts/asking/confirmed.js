// An act that is asked about first, and what became of it.
import { html, useState } from "../../vendor/preact.js";
import { Dialog } from "../dialog.js";

/**
 * @param {{title: string, says: any, does: string, act: (() => Promise<any>) | null, onClose: () => void, danger?: boolean}} props
 *   `act`: closes the dialog if it succeeds; null: there is nothing to confirm yet
 */
export function Confirmed({ title, says, does, act, onClose, danger }) {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const go = async () => {
    if (busy || !act) return;
    setBusy(true);
    setProblem(null);
    try {
      await act();
      onClose();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}><div>${says}</div>
    ${problem && html`<div class="note is-failed" role="alert"><span><b>It was not done${problem.status ? "" : ", as far as is known"}.</b> ${problem.message} <code class="faint">${problem.code}</code></span></div>`}
    <div class="go line">${act && html`<button class=${danger ? "b danger" : "b primary"} type="button" aria-disabled=${busy ? "true" : null} onClick=${go}>${does}</button>`}
      <button class="b" type="button" onClick=${onClose}>Leave it</button></div></${Dialog}>`;
}
