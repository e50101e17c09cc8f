// The newest runs of a definition: how long each took, as dots by version, and the last ones as rows.
import { html, useLayoutEffect, useRef } from "../../vendor/preact.js";
import { withQuery } from "../../app/api.js";
import { now } from "../../app/clock.js";
import { at, counted } from "../../app/format.js";
import { runAddress } from "../../app/router.js";
import { usePolled } from "../../parts/asking/polled.js";
import { Bones } from "../../parts/bones.js";
import { Ago, Took } from "../../parts/moment.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { ShortId } from "../../parts/short_text.js";
import { Status } from "../../parts/status.js";
import { DurationChart } from "./chart/duration_chart.js";

const ASKED = 60;
const ROWS = 8;

/** @param {{name: string}} props */
export function RunsOverTime({ name }) {
  /** @type {import("../../parts/asking/polled.js").Polled<{items: any[], next_cursor: string | null}>} */
  const { told, problem, again } = usePolled(withQuery("/workflows", { name, limit: ASKED }));
  // Of posted documents of this name there is no version.
  const runs = (told?.items ?? []).filter((run) => run.version !== null);
  const begun = runs.filter((run) => run.started_at).map((run) => ({
    id: run.execution_id, version: run.version, status: run.status, startedAt: run.started_at,
    took: Math.max(0, (run.finished_at ? at(run.finished_at) : now.value) - at(run.started_at)), isOver: Boolean(run.finished_at),
  })).reverse();
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  // On a phone the drawing scrolls sideways: the newest are seen first.
  useLayoutEffect(() => { if (box.current) box.current.scrollLeft = box.current.scrollWidth; }, [begun.length > 1]);
  return html`<section class="card" aria-label="Runs over time"><header><h2>Runs over time</h2><span class="faint small">from start to end, waits too; line: median of a version</span>
      <span class="grow"></span>${runs.length > 0 && html`<a href=${withQuery("/ui/runs", { q: name })}>All its runs</a>`}</header>
    ${problem && html`<${ProblemNote} problem=${problem} what=${told ? "Newer runs" : "Its runs"} again=${again} />`}
    ${!told && !problem && html`<${Bones} what="its runs" />`}
    ${told && !runs.length && html`<div class="body empty"><h2>No runs yet</h2><p>Start one with the form: what each took is drawn here.</p>
      ${told.items.length > 0 && html`<p><a href=${withQuery("/ui/runs", { q: name })}>Runs of posted documents of this name</a> are not counted: they have no version.</p>`}</div>`}
    ${begun.length > 1 && html`<div class="body chart-box" tabindex="0" role="group" aria-label="How long they took" ref=${box}><${DurationChart} runs=${begun} /></div>`}
    ${runs.length > 0 && html`<table class="last-runs"><thead><tr><th scope="col">Status</th><th scope="col">Run</th><th scope="col">Started</th>
      <th scope="col" class="num">Took</th><th scope="col" class="num">Version</th></tr></thead>
      <tbody>${runs.slice(0, ROWS).map((run) => html`<tr key=${run.execution_id}><td><${Status} status=${run.status} /></td>
        <td><a class="plain" href=${runAddress(run.execution_id)}><${ShortId} id=${run.execution_id} /></a></td><td><${Ago} at=${run.started_at ?? run.created_at} /></td>
        <td class="num"><${Took} from=${run.started_at} to=${run.finished_at} /></td><td class="num">v${run.version}</td></tr>`)}</tbody></table>
      ${runs.length > ROWS && html`<p class="foot">The drawing has ${counted(runs.length - ROWS, "more", "more")}.</p>`}`}</section>`;
}
