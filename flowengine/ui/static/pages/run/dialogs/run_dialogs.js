// The dialogs of the run's page: the one that is asked for.
import { html, useRef, useState } from "../../../vendor/preact.js";
import { call, post } from "../../../app/api.js";
import { navigate } from "../../../app/router.js";
import { Dialog } from "../../../parts/dialog.js";
import { Icon } from "../../../parts/icon.js";
import { TurnFacts } from "../drawer/turn_facts.js";
import { asked, close } from "./asked.js";
import { Children } from "./children.js";
import { ComparePicker } from "./compare_picker.js";
import { EarlierRuns } from "./earlier_runs.js";
import { RerunDialog } from "./rerun_dialog.js";

/** @param {{store: import("../run_store.js").RunStore}} props */
export function RunDialogs({ store }) {
  const open = asked.value;
  if (!open) return null;
  if (open.what === "cancel") return html`<${CancelDialog} store=${store} />`;
  if (open.what === "delete") return html`<${DeleteDialog} store=${store} />`;
  if (open.what === "compare") return html`<${ComparePicker} store=${store} />`;
  if (open.what === "children") return html`<${Children} store=${store} of="parent" />`;
  if (open.what === "reruns") return html`<${Children} store=${store} of="rerun_of" />`;
  if (open.what === "turn") return html`<${Dialog} title="Who is before this run" onClose=${close}><${TurnFacts} limitKey=${store.run.value.waiting_for?.key} execution=${store.id} /></${Dialog}>`;
  if (open.what === "runs") return html`<${EarlierRuns} store=${store} />`;
  return html`<${RerunDialog} store=${store} asked=${open} />`;
}

/** @param {{store: import("../run_store.js").RunStore}} props */
function CancelDialog({ store }) {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const cancel = async () => {
    const reason = field.current?.value.trim();
    await post(`${store.path}/cancel`, reason ? { reason } : {});
    await store.snapshot();
  };
  return html`<${Confirm} title="Cancel this run" does="Cancel the run" doing="Cancelling" run=${cancel}>
    <p>Nothing more begins. Nodes that run are told to stop and have 30 seconds to end; then the nodes of <code>finally</code> run.</p>
    <label class="field"><span>Reason <i>optional; it stays with the run</i></span>
      <input class="in" ref=${field} name="reason" maxlength="500" autofocus /></label></${Confirm}>`;
}

/** @param {{store: import("../run_store.js").RunStore}} props */
function DeleteDialog({ store }) {
  const over = store.isOver.value || store.run.value?.status === "pending";
  const remove = async () => {
    await call("DELETE", over ? store.path : `${store.path}?force=true`);
    navigate("/ui/runs");
  };
  return html`<${Confirm} title="Delete this run" does=${over ? "Delete the run" : "Cancel and delete the run"} doing="Deleting" run=${remove}>
    <p>Its document, results, events and logs are removed. This cannot be undone.${
      over ? "" : " It has not ended: it is cancelled first."}</p></${Confirm}>`;
}

/**
 * @param {{title: string, does: string, doing: string, run: () => Promise<void>, children?: any}} props
 */
function Confirm({ title, does, doing, run, children }) {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await run();
      close();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} onClose=${close}><form class="asks-for" onSubmit=${submit}>${children}
    ${problem && html`<p class="is-failed wrong" role="alert"><${Icon} name="failed" /> ${problem.message}</p>`}
    <div class="line end"><button class="b" type="button" onClick=${close}>Keep it</button>
      <button class="b danger" aria-disabled=${busy ? "true" : null}>${busy ? `${doing}…` : does}</button></div></form></${Dialog}>`;
}
