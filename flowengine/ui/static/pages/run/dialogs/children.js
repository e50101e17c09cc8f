// The children of a run: the executions that its nodes stand for, or have stood for, the newest first.
import { html, useEffect, useState } from "../../../vendor/preact.js";
import { get, withQuery } from "../../../app/api.js";
import { runAddress } from "../../../app/router.js";
import { Dialog } from "../../../parts/dialog.js";
import { Ago, Took } from "../../../parts/moment.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { shownText } from "../../../parts/shown_text.js";
import { Status } from "../../../parts/status.js";
import { close } from "./asked.js";

/** @param {{store: import("../run_store.js").RunStore}} props */
export function Children({ store }) {
  const [items, setItems] = useState(/** @type {any[] | null} */ (null));
  const [next, setNext] = useState("");
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const load = () => {
    setProblem(null);
    get(withQuery("/workflows", { parent: store.id, cursor: next })).then((page) => {
      setItems((before) => [...(before ?? []), ...page.items]);
      setNext(page.next_cursor ?? "");
    }, setProblem);
  };
  useEffect(load, []);
  return html`<${Dialog} title="Children of this run" onClose=${close} wide>
    <${ProblemNote} problem=${problem} what="The children" again=${load} />
    ${items && html`<table><thead><tr><th>Child</th><th>Status</th><th>Started</th><th class="num">Took</th></tr></thead>
      <tbody>${items.map((child) => html`<tr key=${child.execution_id}><td><a href=${runAddress(child.execution_id)} onClick=${close}><bdi>${shownText(child.name.slice(0, 80))}</bdi></a>
        <code class="faint">${child.execution_id.slice(0, 8)}</code></td><td><${Status} status=${child.status} />${
        child.error && html`<div class="small is-failed reason"><bdi>${shownText(child.error.message)}</bdi></div>`}</td>
        <td><${Ago} at=${child.started_at} /></td><td class="num"><${Took} from=${child.started_at} to=${child.finished_at} /></td></tr>`)}</tbody></table>
      ${next && html`<button class="b" type="button" onClick=${load}>More</button>`}`}</${Dialog}>`;
}
