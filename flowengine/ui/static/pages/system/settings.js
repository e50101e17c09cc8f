// The settings of the API process that answers: what they mean, and where they differ from the default.
import { html, useState } from "../../vendor/preact.js";
import { counted } from "../../app/format.js";
import { usePolled } from "../../parts/asking/polled.js";
import { Rows, withCode } from "../../parts/asking/rows.js";

/** @typedef {{name: string, value: string | null, default: string | null, summary: string, allowed: string}} Setting */

export function Settings() {
  /** @type {import("../../parts/asking/polled.js").Polled<{items: Setting[]}>} */
  const polled = usePolled("/settings");
  const [changedOnly, only] = useState(false);
  const [wanted, want] = useState("");
  const all = polled.told?.items ?? [];
  const changed = all.filter(differs);
  const text = wanted.trim().toLowerCase();
  const items = (changedOnly ? changed : all).filter((each) => `${each.name} ${each.summary}`.toLowerCase().includes(text));
  const typed = (/** @type {Event} */ event) => want(/** @type {HTMLInputElement} */ (event.target).value);
  return html`<div class="filters bare"><input class="in" type="search" aria-label="A setting" placeholder="Name or meaning" value=${wanted} onInput=${typed} />
      <span class="joined"><button class="b" type="button" aria-pressed=${!changedOnly} onClick=${() => only(false)}>All ${all.length}</button>
        <button class="b" type="button" aria-pressed=${changedOnly} onClick=${() => only(true)}>Changed ${changed.length}</button></span></div>
    <${Rows} name="Settings" polled=${polled} count=${items.length} heads=${["Setting", "In force", "Default", "Meaning"]}
      empty=${all.length && !items.length ? `None of ${counted(all.length, "setting")} fits: ${changedOnly && !changed.length ? "each has its default" : "show all, or look for another word"}.` : "None."}
      foot=${html`<p class="foot">Those of the API process that answers; orchestrators and workers have their own. A secret that is set is ***. All: <code>flowengine help settings</code></p>`}>
      ${items.map((each) => html`<tr key=${each.name} class=${differs(each) ? "changed" : ""}><th scope="row"><code>${each.name}</code></th>
        <td class="value-cell">${each.value === null ? html`<span class="faint">not set</span>` : html`<bdi>${each.value}</bdi>`}${differs(each) && html` <span class="tag">changed</span>`}</td>
        <td class="value-cell quiet"><bdi>${each.default ?? "–"}</bdi></td>
        <td class="meaning">${withCode(each.summary)} <span class="faint">${withCode(each.allowed)}</span></td></tr>`)}</${Rows}>`;
}

/** @param {Setting} setting */
const differs = (setting) => setting.value !== setting.default;
