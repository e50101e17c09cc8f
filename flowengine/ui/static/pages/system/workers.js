// The processes that work, and how busy they are.
import { html } from "../../vendor/preact.js";
import { number } from "../../app/format.js";
import { Ago } from "../../parts/moment.js";
import { numeric, Rows } from "../../parts/asking/rows.js";

const WIDE = 80;

/**
 * @typedef {{id: string, service: string, host: string, pid: number, version: string, queues: string[], threads: number, busy: number,
 *   concurrency: number, async_running: number, stopping: boolean, started_at: string, seen_at: string}} Process
 * @param {{workers: import("../../parts/asking/polled.js").Polled<{items: Process[], api_version: string}>}} props
 */
export function Workers({ workers }) {
  const items = workers.told?.items ?? [];
  const version = workers.told?.api_version;
  return html`<${Rows} name="Workers" polled=${workers} count=${items.length}
      empty=${html`No process works. Start <code>flowengine orchestrator</code> and <code>flowengine worker</code>; until then all that is accepted waits.`}
      heads=${["Service", "Process", "Load", "Queues", "Version", numeric("Started"), numeric("Last sign of life")]}
      foot=${html`<p class="foot">One that stops is gone at once, one that dies within 12 seconds: others take over what it held.</p>`}>
    ${items.map((each) => html`<tr key=${each.id}><th scope="row" class="name">${each.service}</th>
      <td title=${each.id}><bdi>${each.host}</bdi> <span class="faint">pid ${each.pid}</span></td>
      <td><${Load} busy=${each.busy} most=${each.threads} what="threads" />${each.concurrency > 0 && html`<br /><${Load}
        busy=${each.async_running} most=${each.concurrency} what="async" />`}${each.stopping && html`<br /><span>stopping: takes nothing new</span>`}</td>
      <td><bdi>${each.queues.slice(0, 8).join(", ")}${each.queues.length > 8 ? ` and ${each.queues.length - 8} more` : ""}</bdi></td>
      <td>${each.version}${version && each.version !== version && html` <span class="quiet">this API is ${version}</span>`}</td>
      <td class="num"><${Ago} at=${each.started_at} /></td><td class="num"><${Ago} at=${each.seen_at} /></td></tr>`)}</${Rows}>`;
}

/** @param {{busy: number, most: number, what: string}} props */
function Load({ busy, most, what }) {
  const wide = most ? Math.min(WIDE, (WIDE * busy) / most) : 0;
  return html`<span class="progress"><svg class="bar load" viewBox=${`0 0 ${WIDE} 8`} aria-hidden="true">
      <rect class="is-pending fill" x="0" y="1.5" width=${WIDE} height="5" /><rect class="is-running fill" x="0" y="1.5" width=${wide} height="5" /></svg>
    <span>${number(busy)} of ${number(most)} ${what}</span></span>`;
}
