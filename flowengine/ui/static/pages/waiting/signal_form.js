// Send the signal that a node waits for.
import { html, useState } from "../../vendor/preact.js";
import { call } from "../../app/api.js";
import { cutMiddle } from "../../app/format.js";
import { runAddress } from "../../app/router.js";
import { useSchemaForm } from "../../parts/form/use_schema_form.js";
import { shownText } from "../../parts/shown_text.js";
import { Refusal } from "./refusal.js";

/** @param {{item: import("./asks.js").Waiting, onDone: (what: any) => void}} props */
export function SignalForm({ item, onDone }) {
  const names = item.names?.length ? item.names : [item.node];
  const [name, setName] = useState(names.length === 1 ? names[0] : "");
  const [unnamed, setUnnamed] = useState(false);
  const form = useSchemaForm(item.schema, { prefix: "answer", isAnswer: true, label: "What it carries",
    help: item.schema === undefined ? "Any JSON value, or nothing" : undefined });
  const [busy, setBusy] = useState(false);
  const [refused, refuse] = useState(/** @type {any} */ (null));
  const [others, setOthers] = useState(/** @type {string[]} */ ([]));
  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (busy) return;
    setUnnamed(!name);
    if (!name) return document.getElementById("answer signal")?.focus();
    const taken = form.take();
    if (!taken) return;
    setBusy(true);
    refuse(null);
    try {
      const path = `/workflows/${encodeURIComponent(item.execution_id)}/signals/${encodeURIComponent(name)}`;
      await call("POST", path, taken.value === undefined ? {} : { json: taken.value });
      onDone(html`<span><b>Sent:</b> <bdi>${shownText(cutMiddle(name, 60))}</bdi> to <bdi>${shownText(cutMiddle(item.name, 60))}</bdi>.
        ${" "}<a href=${runAddress(item.execution_id)}>See the run</a></span>`);
    } catch (error) {
      const problem = /** @type {any} */ (error);
      setOthers(form.refuse(problem.document?.problems ?? [], ""));
      refuse(problem);
      setBusy(false);
    }
  };
  return html`<section><h3>Your answer</h3><form onSubmit=${send}>
    ${names.length > 1 && html`<label class="field" for="answer signal"><span>Signal<i>one of ${names.length}, required</i></span>
      <select class="in" id="answer signal" value=${name} aria-required="true" aria-invalid=${unnamed && !name ? "true" : null}
        onInput=${(/** @type {any} */ event) => setName(event.target.value)}><option value="">choose</option>
        ${names.map((each) => html`<option value=${each}>${shownText(each)}</option>`)}</select>
      ${unnamed && !name && html`<small><span class="wrong">Choose one</span></small>`}</label>`}
    ${form.fields}
    <p class="small quiet">Each signal is taken once, by the node that has waited longest.</p>
    <${Refusal} problem=${refused} others=${others} retry="It may have been sent. Look at the run before you send it again." />
    <div class="decide"><button class="b primary" aria-disabled=${busy ? "true" : null}>${busy ? "Sending" : names.length === 1 ? html`Send <bdi>${shownText(cutMiddle(names[0], 30))}</bdi>` : "Send the signal"}</button></div></form></section>`;
}
