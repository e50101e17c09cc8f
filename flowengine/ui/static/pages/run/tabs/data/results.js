// The results of all nodes: asked for only when somebody wants them, for they may be large.
import { html, useMemo, useState } from "../../../../vendor/preact.js";
import { bytes, number } from "../../../../app/format.js";
import { ProblemNote } from "../../../../parts/problem_note.js";
import { Value } from "../../../../parts/values/value.js";
import { useAnswer } from "../../history/asked.js";
import { errorWords } from "../../words/node_words.js";

const SHOWN = 100;

/** @param {{store: import("../../run_store.js").RunStore}} props */
export function Results({ store }) {
  const [wanted, want] = useState(false);
  const [text, setText] = useState("");
  const [most, setMost] = useState(SHOWN);
  const { value, problem, again } = useAnswer(`${store.path}/results`, wanted);
  const rows = useMemo(() => (value ? rowsOf(value) : []), [value]);
  if (!wanted) {
    return html`<p class="quiet">Results are kept in full, up to 1 MiB a node. <button class="b" type="button" onClick=${() => want(true)}>Get all results</button></p>`;
  }
  const asked = text.trim().toLowerCase();
  const shown = rows.filter(({ id }) => id.toLowerCase().includes(asked));
  return html`<${ProblemNote} problem=${problem} what="The results" again=${again} />
    ${value && html`<div class="line"><label class="line"><span class="unseen">Filter by node</span><input class="in filter" type="search" placeholder="Node" value=${text}
        onInput=${(/** @type {any} */ event) => setText(event.target.value)} /></label><span class="quiet">${number(shown.length)} of ${number(rows.length)}, as they were ${store.isOver.value ? "at the end" : "when asked for"}</span>
      ${!store.isOver.value && html`<button class="b bare" type="button" onClick=${again}>Ask again</button>`}</div>
      ${shown.slice(0, most).map((row) => html`<${Result} key=${row.id} row=${row} />`)}
      ${shown.length > most && html`<button class="b" type="button" onClick=${() => setMost(most + SHOWN)}>Show ${number(Math.min(SHOWN, shown.length - most))} more</button>`}`}`;
}

/** @param {{row: {id: string, value: any, error: any}}} props */
function Result({ row }) {
  const [open, setOpen] = useState(false);
  const size = useMemo(() => (row.error ? "" : bytes(JSON.stringify(row.value).length)), [row]);
  return html`<details class="one" open=${open} onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}>
    <summary><bdi class="cut">${row.id}</bdi> <i>${row.error ? html`<span class="is-failed wrong">${errorWords(row.error)}</span>` : size}</i></summary>
    ${open && html`<div class="inner"><${Value} value=${row.error ?? row.value} name=${row.id} /></div>`}</details>`;
}

/** @param {any} answer of `/results` */
function rowsOf(answer) {
  const hooks = answer.hooks ?? { results: {}, errors: {} };
  return [answer, hooks].flatMap(({ results, errors }) => [
    ...Object.entries(errors).map(([id, error]) => ({ id, value: null, error })),
    ...Object.entries(results).map(([id, value]) => ({ id, value, error: null })),
  ]);
}
