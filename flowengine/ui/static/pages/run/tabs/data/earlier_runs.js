// The runs of an execution, the newest first: how each ended, and why it began.
import { html } from "../../../../vendor/preact.js";
import { CountsBar } from "../../../../parts/counts_bar.js";
import { Ago, Took } from "../../../../parts/moment.js";
import { Status } from "../../../../parts/status.js";

/** @param {{runs: any[]}} props */
export function EarlierRuns({ runs }) {
  return html`<table><thead><tr><th class="num">Run</th><th>Status</th><th>Began because of</th><th>Started</th><th class="num">Took</th><th>Nodes</th><th>Error</th></tr></thead><tbody>
    ${runs.map((each) => html`<tr key=${each.run}><td class="num">${each.run}</td><td><${Status} status=${each.status} /></td>
      <td><bdi>${because(each.why)}</bdi></td><td><${Ago} at=${each.started_at} /></td><td class="num"><${Took} from=${each.started_at} to=${each.finished_at} /></td>
      <td class="c-bar"><${CountsBar} counts=${each.counts} width=${100} /></td><td class="cut" title=${each.error?.message ?? ""}><bdi>${each.error ? `${each.error.node ? `${each.error.node}: ` : ""}${each.error.message}`.slice(0, 200) : ""}</bdi></td></tr>`)}</tbody></table>`;
}

/** @param {{kind: string, mode: string | null, by: string | null}} why */
function because({ kind, mode, by }) {
  const what = kind === "rerun" ? `a rerun${mode ? ` (${mode})` : ""}` : "a trigger";
  return by ? `${what}, by the key ${by}` : what;
}
