// Runs that belong to a run, the newest first: those that its nodes stand for or have stood for, those that reruns have made of it.
import { html, useEffect, useState } from "../../../vendor/preact.js";
import { get, withQuery } from "../../../app/api.js";
import { compareAddress, runAddress } from "../../../app/router.js";
import { Dialog } from "../../../parts/dialog.js";
import { Ago, Took } from "../../../parts/moment.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { ShortId } from "../../../parts/short_text.js";
import { shownText } from "../../../parts/shown_text.js";
import { Status } from "../../../parts/status.js";
import { close } from "./asked.js";

/** @param {{store: import("../run_store.js").RunStore, of: "parent" | "rerun_of"}} props `of`: what this run is to them */
export function Children({ store, of }) {
  const [items, setItems] = useState(/** @type {any[] | null} */ (null));
  const [next, setNext] = useState("");
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const load = () => {
    setProblem(null);
    get(withQuery("/workflows", { [of]: store.id, cursor: next })).then((page) => {
      setItems((before) => [...(before ?? []), ...page.items]);
      setNext(page.next_cursor ?? "");
    }, setProblem);
  };
  useEffect(load, []);
  return html`<${Dialog} title=${of === "parent" ? "Children of this run" : "New runs that reruns of this one have made"} onClose=${close} wide>
    <${ProblemNote} problem=${problem} what="The runs" again=${load} />
    ${items && html`<table><thead><tr><th>Run</th><th>Status</th><th>Started</th><th class="num">Took</th></tr></thead>
      <tbody>${items.map((child) => html`<tr key=${child.execution_id}><td><a href=${runAddress(child.execution_id)} onClick=${close}><bdi>${shownText(child.name.slice(0, 80))}</bdi></a>
        <${ShortId} id=${child.execution_id} is="faint" />${of === "rerun_of" && html`<br /><a class="small link" href=${compareAddress(store.id, child.execution_id)} onClick=${close}>Compare</a>`}</td><td><${Status} status=${child.status} />${
        child.error && html`<div class="small is-failed reason"><bdi>${shownText(child.error.message)}</bdi></div>`}</td>
        <td><${Ago} at=${child.started_at} /></td><td class="num"><${Took} from=${child.started_at} to=${child.finished_at} /></td></tr>`)}</tbody></table>
      ${next && html`<button class="b" type="button" onClick=${load}>More</button>`}`}</${Dialog}>`;
}
