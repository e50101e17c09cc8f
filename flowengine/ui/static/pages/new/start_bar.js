// The buttons that start or store, what hinders them, and what was refused.
import { html, useEffect } from "../../vendor/preact.js";
import { counted } from "../../app/format.js";
import { useKeys } from "../../app/keys.js";
import { may, me } from "../../app/session.js";
import { Icon } from "../../parts/icon.js";
import { ApplyButton } from "../definitions/apply.js";
import { isJson } from "./code_words.js";
import { answer, given, givenLabels, isCurrent, text, unanswered } from "./new_draft.js";
import { touched } from "./inputs_form.js";
import { refused, send, underway } from "./starting.js";

/** @param {{problems: number, wrongInputs: string[]}} props */
export function StartBar({ problems, wrongInputs }) {
  const why = hindrance(problems, wrongInputs.length);
  const act = (/** @type {boolean} */ starts) => {
    if (!why) return void send(starts);
    touched.value = new Set([...touched.value, ...given.value.missing]);
    const first = document.querySelector(".form [aria-invalid='true']") ?? document.getElementById(`input-${given.value.missing[0]}`);
    if (first instanceof HTMLElement) first.focus();
  };
  useKeys([{ keys: "Ctrl+Enter", does: "start what is written", run: () => undefined }]);
  useEffect(() => {
    const press = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      act(true);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
  const problem = refused.value;
  return html`${problem && html`<div class="note is-failed" role="alert"><${Icon} name="failed" /><span class="grow">
      <b>Nothing was started${problem.status ? "" : ", as far as is known"}.</b> ${problem.message}${problem.status ? "" : ". Start again: it is done once."}
      ${" "}<code class="faint">${problem.code}</code></span></div>`}
    <div class="go"><button class="b primary" type="button" aria-disabled=${why || underway.value ? "true" : null} title=${why || "Ctrl+Enter"}
        onClick=${() => act(true)}>${underway.value === "start" ? "Starting" : "Start run"}</button>
      <button class="b" type="button" aria-disabled=${why || underway.value ? "true" : null} title=${why || "It waits for a trigger, and expires without one"}
        onClick=${() => act(false)}>${underway.value === "create" ? "Creating" : "Create without starting"}</button>
      ${may("admin") && html`<${ApplyButton} text=${text.value} isJson=${isJson(text.value)} why=${notToApply(problems)} />`}
      <span class="quiet small" role="status">${why}</span></div>`;
}

/** @param {number} problems Why the document cannot be applied, whatever its inputs are, or "". */
function notToApply(problems) {
  if (!text.value.trim()) return "Possible once there is a document";
  if (problems) return `Possible once ${counted(problems, "problem")} ${problems === 1 ? "is" : "are"} put right`;
  return answer.value && isCurrent.value ? "" : "The document is being checked";
}

/** @param {number} problems @param {number} wrong Why nothing can be started, or "". */
function hindrance(problems, wrong) {
  if (!text.value.trim()) return "Possible once there is a document";
  if (unanswered.value) return "Possible once the document could be checked";
  const missing = given.value.missing;
  const parts = [
    problems ? counted(problems, "problem") : "",
    wrong ? counted(wrong, "input") : "",
    givenLabels.value.wrong ? "the labels" : "",
  ].filter(Boolean);
  if (parts.length) return `Possible once ${parts.join(" and ")} ${problems + wrong === 1 && parts.length === 1 ? "is" : "are"} put right`;
  if (missing.length) return `Possible once ${missing.slice(0, 3).join(", ")}${missing.length > 3 ? " and others are" : missing.length > 1 ? " are" : " is"} given`;
  if (!answer.value || !isCurrent.value) return "The document is being checked";
  return "";
}

/** For a key that may not start anything of its own. */
export function RoleNote() {
  return html`<div class="note is-waiting" role="note"><${Icon} name="warn" /><span class="grow">
    <b>This key may check workflows, and not start them.</b> ${me.value?.key ?? "It"} has the role ${me.value?.role}; to start a workflow of
    one's own takes the role <b>author</b>. An admin makes such a key with ${" "}
    <code>flowengine key new NAME --role author</code>.</span></div>`;
}
