// The runs of an execution: how each ended, and why it began.
import { html, useEffect, useState } from "../../../vendor/preact.js";
import { get } from "../../../app/api.js";
import { Ago, Took } from "../../../parts/moment.js";
import { Dialog } from "../../../parts/dialog.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { Status } from "../../../parts/status.js";
import { close } from "./asked.js";

/** @param {{store: import("../run_store.js").RunStore}} props */
export function EarlierRuns({ store }) {
  const [page, setPage] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const load = () => {
    setProblem(null);
    get(`${store.path}/runs`).then(setPage, setProblem);
  };
  useEffect(load, []);
  return html`<${Dialog} title="Runs of this execution" onClose=${close} wide>
    <${ProblemNote} problem=${problem} what="The runs" again=${load} />
    ${page && html`<table><thead><tr><th>Run</th><th>Status</th><th>Why</th><th>Started</th><th class="num">Took</th><th class="num">Failed</th></tr></thead>
      <tbody>${page.items.map((/** @type {any} */ run) => html`<tr key=${run.run}><td>${run.run}</td><td><${Status} status=${run.status} />
        ${run.error && html`<div class="small is-failed reason"><bdi>${run.error.message}</bdi></div>`}</td>
        <td>${whyOf(run.why)}</td><td><${Ago} at=${run.started_at} /></td><td class="num"><${Took} from=${run.started_at} to=${run.finished_at} /></td>
        <td class="num">${run.counts.failed}</td></tr>`)}</tbody></table>
      <p class="small quiet">Results of earlier runs are not kept: a node that began again has those of its newest run.</p>`}</${Dialog}>`;
}

/** @param {{kind: string, mode: string | null, by: string | null}} why */
function whyOf({ kind, mode, by }) {
  const what = kind === "rerun" ? `rerun of ${mode === "failed" ? "what failed" : mode === "all" ? "everything" : "some nodes"}` : "started";
  return by ? `${what}, by ${by}` : what;
}
