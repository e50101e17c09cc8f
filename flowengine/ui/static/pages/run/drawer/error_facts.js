// Why a node failed: code, message, the place, and each try of its calls.
import { html } from "../../../vendor/preact.js";
import { CopyButton } from "../../../parts/copy_button.js";
import { shownText } from "../../../parts/shown_text.js";
import { select } from "../selection.js";

/** The place at the end of a message: "(handlers.py:25)". */
const PLACE = /\s*\(([^()\s]+:\d+)\)$/;
const MOST_CHARS = 3_000;

/** @param {{error: any}} props */
export function ErrorFacts({ error }) {
  const place = PLACE.exec(error.message)?.[1];
  const message = place ? error.message.replace(PLACE, "") : error.message;
  const others = Object.entries(error).filter(([name, value]) => !KNOWN.has(name) && value !== null && typeof value !== "object");
  return html`<dl class="kv">
    <dt>code</dt><dd><code><bdi>${error.code}</bdi></code></dd>
    ${others.map(([name, value]) => html`<dt key=${name}>${name}</dt><dd><code><bdi>${String(value)}</bdi></code></dd>`)}
    <dt>message</dt><dd class="text"><bdi>${shownText(message.slice(0, MOST_CHARS))}</bdi>${message.length > MOST_CHARS ? "…" : ""}</dd>
    ${place && html`<dt>place</dt><dd><code><bdi>${place}</bdi></code></dd>`}
    ${error.caused_by && (error.code !== "upstream_failed" ? html`<dt>caused by</dt><dd><bdi>${error.caused_by}</bdi></dd>`
      : html`<dt>caused by</dt><dd><button type="button" class="as-text link" onClick=${() => select(error.caused_by)}><bdi>${error.caused_by}</bdi></button></dd>`)}
    ${error.attempts > 1 && html`<dt>calls</dt><dd>${error.attempts} in the last try of the node</dd>`}</dl>
    ${error.errors?.length > 0 && html`<table><thead><tr><th>Call</th><th>Code</th><th>Message</th></tr></thead><tbody>${error.errors.map((/** @type {any} */ each, /** @type {number} */ index) => html`
      <tr key=${index}><td>${each.attempt ?? index + 1}</td><td><code><bdi>${each.code}</bdi></code></td><td class="text"><bdi>${shownText(String(each.message ?? "").slice(0, 300))}</bdi></td></tr>`)}</tbody></table>`}
    <div class="line small quiet"><${CopyButton} text=${() => JSON.stringify(error, null, 2)} what="the error" /></div>`;
}

const KNOWN = new Set(["code", "message", "caused_by", "attempts", "errors", "calls"]);
