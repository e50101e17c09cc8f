// The limits under which somebody runs or waits: who holds the places, who is next.
import { html } from "../../vendor/preact.js";
import { number } from "../../app/format.js";
import { usePolled } from "../../parts/asking/polled.js";
import { numeric, Rows } from "../../parts/asking/rows.js";
import { countedBy, Standers } from "../../parts/words/limit_lines.js";
import { shownText } from "../../parts/shown_text.js";

const MOST = 200;

export function Limits() {
  /** @type {import("../../parts/asking/polled.js").Polled<{items: import("../../parts/words/limit_lines.js").Limit[], next_cursor: string | null}>} */
  const polled = usePolled(`/limits?limit=${MOST}`);
  const items = polled.told?.items ?? [];
  return html`<${Rows} name="Limits" polled=${polled} count=${items.length}
      empty=${html`Nobody runs under a limit or waits for one. <code>concurrency</code> and <code>rate_limit</code> of a workflow or a node set them.`}
      heads=${["Key", "What counts", numeric("In use"), "Who holds a place", numeric("Waiting"), "Who is next"]}
      foot=${html`<p class="foot">${polled.told?.next_cursor ? `The first ${MOST} are shown. ` : ""}A run holds its place until its hooks have ended, also while it waits or is paused; a node as long as workers have it.</p>`}>
    ${items.map((limit) => html`<tr key=${`${limit.kind} ${limit.workflow} ${limit.key}`}><th scope="row" class="name"><bdi class="cut" title=${limit.key}>${shownText(limit.key)}</bdi></th>
      <td class="quiet">${countedBy(limit)}${limit.workflow && html`<br /><bdi>${shownText(limit.workflow.slice(0, 80))}</bdi>`}</td>
      <td class="num">${number(limit.holding)} of ${number(limit.limit)}</td><td><${Standers} all=${limit.holders} count=${limit.holding} /></td>
      <td class="num">${number(limit.waiting)}</td><td><${Standers} all=${limit.waiters} count=${limit.waiting} /></td></tr>`)}</${Rows}>`;
}
