// The form that starts a definition, made from the schema of its inputs.
import { html, useRef, useState } from "../../vendor/preact.js";
import { post, withQuery } from "../../app/api.js";
import { navigate, runAddress } from "../../app/router.js";
import { may, me } from "../../app/session.js";
import { LabelsField } from "../../parts/form/labels_field.js";
import { readLabels } from "../../parts/form/labels.js";
import { useSchemaForm } from "../../parts/form/use_schema_form.js";
import { Icon } from "../../parts/icon.js";
import { definitionPath } from "./addresses.js";

/** @param {{shown: import("./definition.js").Shown}} props */
export function StartForm({ shown }) {
  const isOld = shown.version !== shown.current;
  return html`<section class="card" aria-label="Start"><header><h2>Start a run</h2><span class="grow"></span>
      <span class="faint small">version ${shown.version}${isOld ? ", not in force" : ""}</span></header>
    ${may("run") ? html`<${Form} shown=${shown} isOld=${isOld} />` : html`<div class="body"><p class="quiet">The key ${me.value?.key} has the role ${me.value?.role}.
      To start a definition takes the role <b>run</b>: <code>flowengine key new NAME --role run</code>.</p></div>`}</section>`;
}

/** @param {{shown: import("./definition.js").Shown, isOld: boolean}} props */
function Form({ shown, isOld }) {
  const form = useSchemaForm(shown.input_schema, { prefix: "start", label: "Inputs", help: "The document does not say which it takes: it takes any." });
  const [labels, setLabels] = useState("");
  const [busy, setBusy] = useState(false);
  const [refused, refuse] = useState(/** @type {any} */ (null));
  const [others, setOthers] = useState(/** @type {string[]} */ ([]));
  const sent = useRef({ key: "", about: "" });
  const given = readLabels(labels);
  const start = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (busy) return;
    const taken = form.take();
    if (!taken || given.wrong) return;
    setBusy(true);
    refuse(null);
    const body = JSON.stringify({ inputs: taken.value, labels: given.labels });
    // A start that is repeated, by a double click or after a lost answer, is done once.
    if (sent.current.about !== body) sent.current = { key: randomKey(), about: body };
    try {
      const path = withQuery(definitionPath(shown.name, "/trigger"), { version: isOld ? shown.version : "" });
      const made = await post(path, undefined, { text: body, headers: { "Idempotency-Key": sent.current.key } });
      navigate(runAddress(made.execution_id));
    } catch (error) {
      const problem = /** @type {any} */ (error);
      setOthers(form.refuse(problem.document?.problems ?? [], "/inputs"));
      refuse(problem);
      setBusy(false);
    }
  };
  return html`<form class="body start" onSubmit=${start} noValidate>
    ${form.count ? form.fields : html`<p class="quiet">It takes no inputs.</p>`}
    <details class="more-fields"><summary>Labels</summary><${LabelsField} id="start-labels" value=${labels} wrong=${given.wrong} onChange=${setLabels} /></details>
    <${Refused} problem=${refused} others=${others} />
    <button class="b primary whole" aria-disabled=${busy ? "true" : null}>${busy ? "Starting" : isOld ? `Start version ${shown.version}` : "Start run"}</button></form>`;
}

/** @param {{problem: any, others: string[]}} props */
function Refused({ problem, others }) {
  if (!problem) return null;
  const says = problem.document?.problems?.length ? others.join(" ") || "See what is said at the fields." : problem.message;
  return html`<div class="note is-failed" role="alert"><${Icon} name="failed" /><span class="grow">
    <b>Nothing was started${problem.status ? "" : ", as far as is known"}.</b> ${says}${problem.status ? "" : ". Start again: it is done once."} <code class="faint">${problem.code}</code></span></div>`;
}

/** 128 random bits; `crypto.randomUUID` is not there on a page without TLS. */
function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("");
}
