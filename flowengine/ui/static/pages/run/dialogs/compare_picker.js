// Which run this one is compared with: one of those of the same name, or the one with an id that is typed.
import { html, useEffect, useRef, useState } from "../../../vendor/preact.js";
import { get, withQuery } from "../../../app/api.js";
import { navigate } from "../../../app/router.js";
import { Dialog } from "../../../parts/dialog.js";
import { Ago } from "../../../parts/moment.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { ShortId } from "../../../parts/short_text.js";
import { Status } from "../../../parts/status.js";
import { close } from "./asked.js";

const SHOWN = 20;

/** @param {{store: import("../run_store.js").RunStore}} props */
export function ComparePicker({ store }) {
  const [others, setOthers] = useState(/** @type {any[] | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const run = store.run.value;
  const load = () => {
    setProblem(null);
    get(withQuery("/workflows", { name: run.name, limit: SHOWN + 1 })).then((page) => setOthers(page.items.filter((/** @type {any} */ each) => each.execution_id !== store.id).slice(0, SHOWN)), setProblem);
  };
  useEffect(load, []);
  const address = (/** @type {string} */ id, /** @type {string} */ created) => withQuery("/ui/compare", created < run.created_at ? { left: id, right: store.id } : { left: store.id, right: id });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const id = field.current?.value.trim();
    if (!id) return;
    close();
    navigate(address(id, "~"));
  };
  return html`<${Dialog} title="Compare with another run" onClose=${close} wide>
    <${ProblemNote} problem=${problem} what="The runs" again=${load} />
    ${others && (others.length ? html`<table><thead><tr><th>Run of the same name</th><th>Status</th><th>Started</th></tr></thead><tbody>${others.map((each) => html`
        <tr key=${each.execution_id}><td><a href=${address(each.execution_id, each.created_at)} onClick=${close}><${ShortId} id=${each.execution_id} most=${16} /></a></td>
          <td><${Status} status=${each.status} /></td><td><${Ago} at=${each.started_at} /></td></tr>`)}</tbody></table>` : html`<p class="quiet">No other run has this name.</p>`)}
    <form class="line" onSubmit=${submit}><label class="field grow"><span>Or the id of any run</span><input class="in" ref=${field} autocomplete="off" /></label><button class="b">Compare</button></form></${Dialog}>`;
}
