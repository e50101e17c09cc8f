// What a language model took: tokens, time, and the cost where its service tells it.
import { html } from "../../../vendor/preact.js";
import { duration, number } from "../../../app/format.js";

/**
 * @param {{detail: any}} props
 */
export function ModelUse({ detail }) {
  const source = detail.result ?? detail.error;
  const calls = source?.calls ?? [];
  const usage = detail.result?.usage ?? totalOf(calls);
  if (!usage) return null;
  const cost = usage.cost ?? detail.result?.cost;
  const seconds = calls.reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + (each.seconds ?? 0), 0);
  return html`<dl class="kv use"><dt>model</dt><dd><bdi>${detail.result?.model ?? calls.at(-1)?.model ?? "–"}</bdi></dd>
    <dt>tokens</dt><dd>${number(usage.total_tokens ?? 0)} <span class="quiet">(${number(usage.prompt_tokens ?? 0)} in, ${number(usage.completion_tokens ?? 0)} out)</span></dd>
    ${calls.length > 0 && html`<dt>calls</dt><dd>${number(calls.length)}${seconds > 0 ? `, ${duration(seconds * 1000)} in the model` : ""}</dd>`}
    <dt>cost</dt><dd>${cost === undefined || cost === null ? html`<span class="quiet">not told by the service</span>` : String(cost)}</dd></dl>`;
}

/** @param {any[]} calls */
function totalOf(calls) {
  const told = calls.map((each) => each.usage).filter(Boolean);
  if (!told.length) return null;
  const sum = (/** @type {string} */ name) => told.reduce((total, each) => total + (each[name] ?? 0), 0);
  return { total_tokens: sum("total_tokens"), prompt_tokens: sum("prompt_tokens"), completion_tokens: sum("completion_tokens") };
}
