// Before anything is done to many runs: how many it would be done to, and which are left alone, and why.
import { html, useEffect, useRef, useState } from "../../../vendor/preact.js";
import { counted, number } from "../../../app/format.js";
import { Dialog } from "../../../parts/dialog.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { actionCalled, leftAlone, resetBy } from "./actions.js";
import { actOnMany } from "./bulk_request.js";

/** @typedef {import("./actions.js").Bulk} Bulk */

/**
 * @param {{action: string, target: import("./bulk_request.js").Target, onAct: (reason: string) => void, onClose: () => void}} props
 */
export function BulkDialog({ action, target, onAct, onClose }) {
  const { name, verb = name, does, then, danger } = actionCalled(action);
  const [counting, setCounting] = useState(/** @type {Bulk | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [round, again] = useState(0);
  const reason = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    const stop = new AbortController();
    setProblem(null);
    actOnMany(action, target, { dryRun: true, onProgress: setCounting, signal: stop.signal })
      .catch((error) => { if (!stop.signal.aborted) setProblem(error); });
    return () => stop.abort();
  }, [round]);
  const known = counting?.status === "finished" ? counting : null;
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (known?.done) onAct(reason.current?.value.trim() ?? "");
  };
  return html`<${Dialog} title=${`${verb} runs`} onClose=${onClose}>
    <form class="bulk-form" onSubmit=${submit}>
      <${ProblemNote} problem=${problem} what="The preview" again=${() => again(round + 1)} />
      <div role="status">${known ? html`<p><b>${known.done ? `${counted(known.done, "run")} will be ${does}.` : `No run can be ${does}.`}</b></p>
          <p>${resetBy(known)} ${leftAlone(known)}</p>${known.done > 0 && then && html`<p class="quiet">${then}</p>`}`
        : !problem && html`<p class="quiet">Counting${counting?.seen ? `: ${number(counting.seen)} looked at` : ""}…</p>`}</div>
      ${action === "cancel" && html`<label class="field"><span>Reason <i>kept in the events of each run</i></span>
        <input class="in" ref=${reason} maxlength="500" autocomplete="off" /></label>`}
      <div class="line"><span class="grow"></span><button class="b" type="button" onClick=${onClose}>Leave them</button>
        <button class=${danger ? "b danger" : "b primary"} aria-disabled=${known?.done ? null : "true"}>${
          known?.done ? `${verb} ${counted(known.done, "run")}` : verb}</button></div></form></${Dialog}>`;
}
