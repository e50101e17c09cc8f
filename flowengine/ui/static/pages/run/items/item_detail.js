// One item of a map: why it failed, or what it gave.
import { html } from "../../../vendor/preact.js";
import { withQuery } from "../../../app/api.js";
import { counted, number } from "../../../app/format.js";
import { runAddress } from "../../../app/router.js";
import { Icon } from "../../../parts/icon.js";
import { Ago, Took } from "../../../parts/moment.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { Status } from "../../../parts/status.js";
import { Value } from "../../../parts/values/value.js";
import { ErrorFacts } from "../drawer/error_facts.js";
import { useAnswer } from "../history/asked.js";

/**
 * @param {{path: string, index: number, version: string, onClose: () => void, rerun: ((key: string) => void) | null, why: string}} props `path`: of the
 *   items; `version`: of the map; `rerun`: null where nobody may; `why`: it cannot begin again now
 */
export function ItemDetail({ path, index, version, onClose, rerun, why }) {
  const { value: page, problem, again } = useAnswer(withQuery(path, { from: index || "", limit: 1 }), true, version);
  /** @type {import("./items_reader.js").Item | undefined} */
  const item = page?.items[0];
  return html`<section class="item" aria-label=${`Item ${index}`}>
    <header class="line"><h3 class="grow cut">Item ${number(index)}${item && html` <code class="faint" title=${item.key}><bdi>${item.key}</bdi></code>`}</h3>
      <button class="b bare square" type="button" aria-label="Close the item" onClick=${onClose}><${Icon} name="x" /></button></header>
    <${ProblemNote} problem=${problem} what="The item" again=${again} />
    ${page && !item && html`<p class="quiet">There is no such item.</p>`}
    ${item && html`<p class="line small quiet"><${Status} status=${item.status} />${item.tries > 1 && html`<span>${counted(item.tries, "try", "tries")}</span>`}
        ${item.started_at && html`<span>took <${Took} from=${item.started_at} to=${item.finished_at} /></span>`}${item.finished_at && html`<${Ago} at=${item.finished_at} />`}</p>
      ${rerun && html`<p class="line"><button class="b" type="button" aria-disabled=${why ? "true" : null} title=${why || null} onClick=${() => { if (!why) rerun(item.key); }}>Rerun this item…</button></p>`}
      ${item.child && html`<p class="small"><a class="b bare" href=${runAddress(item.child)}>As a run of its own</a></p>`}
      ${item.error && html`<${ErrorFacts} error=${item.error} />`}
      ${item.status === "completed" && (item.result_truncated ? html`<p class="small quiet">Its result is over 64 KiB: it stands in the result of the node.</p>`
        : html`<${Value} value=${item.result} name=${`item ${item.key}`} />`)}`}</section>`;
}
