// The start of what is written. A start that is repeated, by a double click or after a lost answer, is done once.
import { signal } from "../../vendor/preact.js";
import { post, withQuery } from "../../app/api.js";
import { navigate, runAddress } from "../../app/router.js";
import { answer, envelope, isCurrent, keep } from "./new_draft.js";

/** What is on its way: "start", "create" or nothing. */
export const underway = signal("");
/** Why the last one was refused. */
export const refused = signal(/** @type {any} */ (null));

/** The key of the last request, and what it asked for. */
let asked = { key: "", about: "" };

/** @param {boolean} starts whether it runs at once */
export async function send(starts) {
  if (underway.value) return;
  const body = JSON.stringify(envelope());
  const about = `${starts} ${body}`;
  if (asked.about !== about) asked = { key: randomKey(), about };
  underway.value = starts ? "start" : "create";
  refused.value = null;
  keep();
  try {
    const path = withQuery("/workflow", { trigger: starts ? "true" : "" });
    const made = await post(path, undefined, { text: body, headers: { "Idempotency-Key": asked.key } });
    asked = { key: "", about: "" };
    navigate(runAddress(made.execution_id));
  } catch (error) {
    const problem = /** @type {any} */ (error);
    const problems = problem.document?.problems;
    if (Array.isArray(problems) && answer.value) {
      answer.value = { ...answer.value, valid: false, problems };
      isCurrent.value = true;
    }
    refused.value = problem;
  } finally {
    underway.value = "";
  }
}

/** 128 random bits; `crypto.randomUUID` is not there on a page without TLS. */
function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("");
}
