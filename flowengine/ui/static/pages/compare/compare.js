// Two runs beside each other: what they were given, how their nodes ended, what they gave. `/ui/compare?left=ID&right=ID`
import { html, useEffect, useMemo, useState } from "../../vendor/preact.js";
import { get } from "../../app/api.js";
import { counted, duration, at } from "../../app/format.js";
import { query, runAddress, setQuery } from "../../app/router.js";
import { useTitle } from "../../app/title.js";
import { Ago } from "../../parts/moment.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { shownText } from "../../parts/shown_text.js";
import { Status } from "../../parts/status.js";
import { diffLines, withGaps } from "../definitions/versions/line_diff.js";
import { nodeRows, valueRows } from "./compared.js";
import { NodeRows } from "./node_rows.js";
import { SideBySide } from "./side_by_side.js";

const MOST_CHARS = 1_000_000;
const MOST_LINES = 400;
const LINE_CHARS = 1000;
const SIGNS = { same: " ", del: "−", add: "+" };

export function Compare() {
  const [left, right] = [query.value.get("left") ?? "", query.value.get("right") ?? ""];
  useTitle("Two runs compared");
  if (!left || !right) {
    return html`<div class="page empty"><h1>Which runs?</h1><p>Select two of the <a href="/ui/runs">runs</a> and press Compare.</p></div>`;
  }
  return html`<${Both} key=${`${left} ${right}`} left=${left} right=${right} />`;
}

/** @param {{left: string, right: string}} props */
function Both({ left, right }) {
  const ours = useRun(left);
  const theirs = useRun(right);
  const [one, other] = [ours.run, theirs.run];
  const rows = useMemo(() => (one && other ? nodeRows(one, other, ours.results, theirs.results) : []), [one, other, ours.results, theirs.results]);
  const swap = () => setQuery({ left: right, right: left });
  return html`<div class="page compare"><div class="head"><h1>Two runs compared</h1><div class="actions"><button class="b" type="button" onClick=${swap}>Swap sides</button></div></div>
    <${ProblemNote} problem=${ours.problem ?? theirs.problem} what="One of the runs" again=${() => { ours.again(); theirs.again(); }} />
    ${one && other && html`<div class="sides heads"><${Head} run=${one} side="Left" /><${Head} run=${other} side="Right" /></div>
      <p class="said" role="status">${verdictOf(one, other, rows)}</p>
      <${Values} name="Inputs" rows=${valueRows(one.inputs, other.inputs)} same="Both were given the same." />
      <${Values} name="Outputs" rows=${valueRows(one.outputs, other.outputs)} same="Both gave the same." />
      <${NodeRows} rows=${rows} left=${left} right=${right} />
      <${Documents} left=${left} right=${right} />`}</div>`;
}

/** @param {string} id */
function useRun(id) {
  const [state, setState] = useState(/** @type {{run: any, results: any, problem: any}} */ ({ run: null, results: undefined, problem: null }));
  const path = `/workflows/${encodeURIComponent(id)}`;
  const again = () => {
    const failed = (/** @type {any} */ problem) => setState((before) => ({ ...before, problem }));
    setState((before) => ({ ...before, problem: null }));
    get(path).then((run) => setState((before) => ({ ...before, run })), failed);
    get(`${path}/results`).then((results) => setState((before) => ({ ...before, results })), failed);
  };
  useEffect(again, [id]);
  return { ...state, again };
}

/** @param {{run: any, side: string}} props */
function Head({ run, side }) {
  const end = run.finished_at ? at(run.finished_at) : NaN;
  return html`<section class="card" aria-label=${side}><div class="body"><p class="small quiet">${side}</p>
    <h2 class="cut"><a href=${runAddress(run.execution_id)}><bdi>${shownText(run.name.slice(0, 200))}</bdi></a></h2>
    <p class="line small"><${Status} status=${run.status} /><code class="faint">${run.execution_id}</code></p>
    <p class="line small quiet"><span>started <${Ago} at=${run.started_at} /></span>${Number.isFinite(end) && html`<span>took ${duration(end - at(run.started_at))}</span>`}
      ${run.version && html`<span>version ${run.version}</span>`}${run.run > 1 && html`<span>run ${run.run}</span>`}</p></div></section>`;
}

/**
 * What differs, in one sentence.
 * @param {any} one
 * @param {any} other
 * @param {import("./compared.js").NodeRow[]} rows
 */
function verdictOf(one, other, rows) {
  const count = (/** @type {string} */ how) => rows.filter((row) => row.how === how).length;
  const said = [
    one.status === other.status ? "" : `The left run is ${one.status}, the right one ${other.status}`,
    count("ended") && `${counted(count("ended"), "node")} ended otherwise`, count("failed") && `${counted(count("failed"), "node")} failed otherwise`,
    count("only") && `${counted(count("only"), "node")} ${count("only") > 1 ? "are" : "is"} in one run only`, count("result") && `${counted(count("result"), "node")} gave another result`,
  ].filter(Boolean).join("; ");
  if (rows.some(({ how }) => how === "")) return said || "Their results are being read.";
  return said ? `${said}.` : "No node differs.";
}

/** @param {{name: string, rows: import("./compared.js").ValueRow[], same: string}} props */
function Values({ name, rows, same }) {
  return html`<section class="card" aria-label=${name}><header class="line"><h2 class="grow">${name}</h2></header><div class="body">
    ${rows.length ? rows.map((row) => html`<h3 key=${row.name}><bdi>${shownText(row.name)}</bdi></h3><${SideBySide} left=${row.left} right=${row.right} name=${row.name} />`)
      : html`<p class="quiet">${same}</p>`}</div></section>`;
}

/**
 * Whether both ran the same document, and the lines that differ.
 * @param {{left: string, right: string}} props
 */
function Documents({ left, right }) {
  const [texts, setTexts] = useState(/** @type {string[] | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const ask = () => {
    const of = (/** @type {string} */ id) => get(`/workflows/${encodeURIComponent(id)}/document`, { raw: true });
    setProblem(null);
    Promise.all([of(left), of(right)]).then(setTexts, setProblem);
  };
  useEffect(ask, []);
  const isLarge = texts !== null && texts[0].length + texts[1].length > MOST_CHARS;
  const isSame = texts !== null && texts[0] === texts[1];
  const lines = useMemo(() => (texts && !isSame && !isLarge ? withGaps(diffLines(texts[0].trimEnd(), texts[1].trimEnd())) : []), [texts]);
  return html`<section class="card" aria-label="Document"><header class="line"><h2 class="grow">Document</h2></header>
    <${ProblemNote} problem=${problem} what="Their documents" again=${ask} />
    ${isSame && html`<p class="body quiet">Both ran the same document, to the byte.</p>`}
    ${isLarge && !isSame && html`<p class="body quiet">They ran different documents, which are too large to be compared line by line here.</p>`}
    ${lines.length > 0 && html`<div class="diff" tabindex="0" role="region" aria-label="Lines that differ"><table><tbody>${lines.slice(0, MOST_LINES).map((line, at) => line.kind === "gap"
      ? html`<tr key=${at} class="gap"><td class="n"></td><td class="n"></td><td></td><td>${counted(line.count, "line")} alike</td></tr>`
      : html`<tr key=${at} class=${line.kind}><td class="n">${line.before || ""}</td><td class="n">${line.after || ""}</td><td>${SIGNS[line.kind]}</td>
        <td><bdi>${shownText(line.text.slice(0, LINE_CHARS))}</bdi>${line.text.length > LINE_CHARS ? "…" : ""}</td></tr>`)}</tbody></table></div>
      ${lines.length > MOST_LINES && html`<p class="foot">The first ${MOST_LINES} of these lines are shown.</p>`}`}</section>`;
}
