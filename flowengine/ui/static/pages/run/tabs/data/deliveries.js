// How the results of each run were sent to the callback address.
import { html } from "../../../../vendor/preact.js";
import { exact, number } from "../../../../app/format.js";
import { CopyButton } from "../../../../parts/copy_button.js";
import { Status } from "../../../../parts/status.js";

/** @type {Record<string, string>} */
const WHY = { gone: "the receiver answered 410: it wants no more", given_up: "a day has passed", overtaken: "another run has begun" };
/** @type {Record<string, [string, string]>} */
const STATES = { pending: ["waiting", "Not delivered yet"], delivered: ["completed", "Delivered"], failed: ["failed", "Not delivered"] };

/** @param {{deliveries: any[]}} props */
export function Deliveries({ deliveries }) {
  if (!deliveries.length) {
    return html`<p class="quiet">Nothing was to be sent: a run sends its results if it is posted with a callback_url.</p>`;
  }
  return html`${deliveries.map((each) => {
    const [look, word] = STATES[each.state] ?? ["pending", each.state];
    return html`<div key=${each.run} class="delivery"><div class="line"><${Status} status=${look} word=${`Run ${number(each.run)}: ${word}`} />
      ${each.why && html`<span>${WHY[each.why] ?? each.why}</span>`}<bdi class="cut quiet" title=${each.url}>${each.url}</bdi></div>
      <p class="small quiet">${number(each.attempt_count)} sent${each.next_at ? html`, again at <time title=${exact(each.next_at)}>${each.next_at.slice(11, 19)}</time>` : ""};
        webhook-id <code>${each.webhook_id}</code><${CopyButton} text=${each.webhook_id} what="the webhook-id" /></p>
      ${each.attempts.length > 0 && html`<table><thead><tr><th>At (UTC)</th><th class="num">Took</th><th class="num">Answer</th><th>Error</th></tr></thead><tbody>
        ${each.attempts.map((/** @type {any} */ one) => html`<tr key=${one.at}><td title=${exact(one.at)}>${one.at.slice(11, 23)}</td><td class="num">${number(one.duration_ms)} ms</td>
          <td class="num">${one.status_code ?? "–"}</td><td><bdi>${one.error ?? ""}</bdi></td></tr>`)}</tbody></table>`}</div>`;
  })}`;
}
