// Approve or reject, with a comment and with what the node's schema asks for.
import { html, useState } from "../../vendor/preact.js";
import { post } from "../../app/api.js";
import { cutMiddle } from "../../app/format.js";
import { runAddress } from "../../app/router.js";
import { me } from "../../app/session.js";
import { useSchemaForm } from "../../parts/form/use_schema_form.js";
import { shownText } from "../../parts/shown_text.js";
import { nodePath } from "./asks.js";
import { Refusal } from "./refusal.js";

const COMMENT_CHARS = 1000;

/** @param {{item: import("./asks.js").Waiting, node: any, onDone: (what: any) => void}} props */
export function ApprovalForm({ item, node, onDone }) {
  const hasSchema = item.schema !== undefined;
  const form = useSchemaForm(item.schema, { prefix: "answer", isAnswer: true, isRequired: hasSchema });
  const [comment, setComment] = useState("");
  const [busy, setBusy] = useState("");
  const [refused, refuse] = useState(/** @type {any} */ (null));
  const [others, setOthers] = useState(/** @type {string[]} */ ([]));
  const decide = async (/** @type {boolean} */ approved) => {
    if (busy) return;
    const taken = approved && hasSchema ? form.take() : { value: undefined };
    if (!taken) return;
    setBusy(approved ? "approve" : "reject");
    refuse(null);
    const answer = { approved, comment: comment.trim() || null, run: item.run, attempt: item.attempt, ...(taken.value === undefined ? {} : { data: taken.value }) };
    try {
      await post(`${nodePath(item.execution_id, item.node)}/decision`, answer);
      onDone(html`<span><b>${approved ? "Approved" : "Rejected"}:</b> <bdi>${shownText(cutMiddle(item.node, 60))}</bdi> of <bdi>${shownText(cutMiddle(item.name, 60))}</bdi>.
        ${" "}<a href=${runAddress(item.execution_id)}>See the run</a></span>`);
    } catch (error) {
      const problem = /** @type {any} */ (error);
      setOthers(form.refuse(problem.document?.problems ?? [], "/data"));
      refuse(problem);
      setBusy("");
    }
  };
  return html`<section><h3>Your decision</h3><form onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
    ${hasSchema && form.fields}
    <label class="field whole" for="answer comment"><span>Comment<i>optional, kept with the decision</i></span>
      <textarea class="in" id="answer comment" rows="2" maxlength=${COMMENT_CHARS} value=${comment} onInput=${(/** @type {any} */ event) => setComment(event.target.value)}></textarea></label>
    <p class="small quiet">${me.value?.key ? html`Recorded as the key ${me.value.key}. ` : ""}A decision counts once.
      ${" "}${node && (node.config?.on_reject === "continue" ? "Rejected, the node completes too, and says so." : "Rejected, the node fails, and what comes after it does not run.")}</p>
    <${Refusal} problem=${refused} others=${others} retry="Send it again: it counts once." />
    <div class="decide"><button class="b primary" type="button" aria-disabled=${busy ? "true" : null} onClick=${() => decide(true)}>${busy === "approve" ? "Approving" : "Approve"}</button>
      <button class="b danger" type="button" aria-disabled=${busy ? "true" : null} onClick=${() => decide(false)}>${busy === "reject" ? "Rejecting" : "Reject"}</button></div></form></section>`;
}
