// The form that answers what a node waits for: an approval, or a signal.
import { html, useLayoutEffect, useRef, useState } from "../../../vendor/preact.js";
import { may } from "../../../app/session.js";
import { ApprovalForm } from "../../waiting/approval_form.js";
import { SignalForm } from "../../waiting/signal_form.js";
import { countAgain } from "../../waiting/waiting_count.js";

/** @param {{store: import("../run_store.js").RunStore, node: import("../run_store.js").Node, detail: any}} props `detail`: of the node */
export function Answer({ store, node, detail }) {
  const [done, say] = useState(/** @type {any} */ (null));
  const kind = node.status === "waiting" ? node.waiting_for?.kind : "";
  const said = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => { if (done) said.current?.focus(); }, [done]);
  if (done) return html`<p class="note done" role="status" tabindex="-1" ref=${said}>${done}</p>`;
  if (kind !== "approval" && kind !== "signal") return null;
  if (!may("decide")) return html`<p class="note" role="note"><span>To answer takes a key of the role <b>decide</b>.</span></p>`;
  const Form = kind === "approval" ? ApprovalForm : SignalForm;
  const onDone = (/** @type {any} */ what) => {
    say(what);
    countAgain();
    store.snapshot();
  };
  return html`<div class="ask"><${Form} item=${itemOf(store, node, detail)} node=${detail} onDone=${onDone} /></div>`;
}

/**
 * What waits, as the list of all that waits has it.
 * @param {import("../run_store.js").RunStore} store
 * @param {import("../run_store.js").Node} node
 * @param {any} detail
 * @returns {import("../../waiting/asks.js").Waiting}
 */
function itemOf(store, node, detail) {
  const run = store.run.value;
  const { kind, since, until, prompt } = node.waiting_for;
  const config = detail.config !== null && typeof detail.config === "object" ? detail.config : {};
  const names = Array.isArray(config.names) ? config.names : [config.name ?? node.id];
  return {
    execution_id: store.id, name: run.name, run: run.run, node: node.id, attempt: node.attempt, kind, since, until, prompt,
    ...(kind === "signal" ? { names } : {}), ...("schema" in config ? { schema: config.schema } : {}),
  };
}
