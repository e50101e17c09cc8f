// An operator ends a node by hand: completes, skips or fails it, and says why.
import { html, useState } from "../../../vendor/preact.js";
import { post } from "../../../app/api.js";
import { Dialog } from "../../../parts/dialog.js";
import { Icon } from "../../../parts/icon.js";

/** @type {Record<string, {title: string, does: string, button: string}>} */
const WORDS = {
  complete: { title: "Complete", does: "It counts as completed, with the result that you give. What depends on it goes on.", button: "Complete it" },
  skip: { title: "Skip", does: "It does not run. What depends on it is skipped or goes on, as its trigger rule says.", button: "Skip it" },
  fail: { title: "Fail", does: "It fails for good: it is not tried again. Its on_error decides what follows.", button: "Fail it" },
};

/** @param {{store: import("../run_store.js").RunStore, node: import("../run_store.js").Node, said: string, onClose: () => void}} props */
export function OverruleDialog({ store, node, said, onClose }) {
  const [result, setResult] = useState("{}");
  const [code, setCode] = useState("operator");
  const [message, setMessage] = useState("");
  const [reason, setReason] = useState("");
  const [wrong, say] = useState("");
  const [busy, setBusy] = useState(false);
  const words = WORDS[said];
  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    /** @type {any} */
    const body = { run: store.run.value.run, attempt: node.attempt };
    if (reason.trim()) body.reason = reason.trim();
    if (said === "complete") {
      const read = parsed(result);
      if (read.why) return say(read.why);
      body.result = read.value;
    }
    if (said === "fail") Object.assign(body, code.trim() && { code: code.trim() }, message.trim() && { message: message.trim() });
    setBusy(true);
    try {
      await post(`${store.path}/nodes/${encodeURIComponent(node.id)}/${said}`, body);
      store.snapshot();
      onClose();
    } catch (problem) {
      say(wordsOf(problem));
      setBusy(false);
    }
  };
  const field = (/** @type {string} */ name, /** @type {string} */ value, /** @type {(text: string) => void} */ set, hint = "") => html`
    <label class="field"><span>${name}${hint && html`<i>${hint}</i>`}</span><input class="in" value=${value} maxlength="1000" onInput=${(/** @type {any} */ event) => set(event.target.value)} /></label>`;
  return html`<${Dialog} title=${`${words.title} ${node.id.length > 60 ? "the node" : node.id}`} onClose=${onClose}><form onSubmit=${send}>
    <p>${words.does}${node.status === "running" ? " Its handler is told to stop, and what it reports does not count." : ""}</p>
    ${said === "complete" && html`<label class="field"><span>Result<i>JSON, as its handler would give it</i></span><textarea class="in code-in" rows="6" spellcheck="false" value=${result}
      aria-invalid=${wrong ? "true" : null} onInput=${(/** @type {any} */ event) => { setResult(event.target.value); say(""); }}></textarea></label>`}
    ${said === "fail" && html`${field("Code", code, setCode)}${field("Message", message, setMessage, "optional")}`}
    ${field("Reason", reason, setReason, "others see it in the events and in the audit")}
    ${wrong && html`<p class="wrong-line is-failed" role="alert"><${Icon} name="failed" /><span>${wrong}</span></p>`}
    <div class="line ends"><button class="b" type="button" onClick=${onClose}>Back</button><button class=${said === "fail" ? "b danger" : "b primary"} disabled=${busy}>${words.button}</button></div></form></${Dialog}>`;
}

/** @param {string} text */
function parsed(text) {
  try {
    return { value: JSON.parse(text), why: "" };
  } catch (error) {
    return { value: null, why: `The result is not JSON: ${/** @type {Error} */ (error).message}` };
  }
}

/** @param {any} problem A refusal with what is wrong in each field, where it tells. */
export function wordsOf(problem) {
  const more = (problem.document?.problems ?? []).map((/** @type {any} */ each) => each.message).filter(Boolean);
  return more.length ? `${problem.message} ${more.slice(0, 5).join(" ")}` : problem.message;
}
