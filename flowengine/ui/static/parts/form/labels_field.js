// The field of the labels of a run.
import { html } from "../../vendor/preact.js";
import { Icon } from "../icon.js";

/** @param {{id: string, value: string, wrong?: string, onChange: (text: string) => void}} props */
export function LabelsField({ id, value, wrong, onChange }) {
  return html`<label class="field" for=${id}><span>Labels<i>optional</i></span>
    <input class="in" id=${id} value=${value} onInput=${(/** @type {any} */ event) => onChange(event.target.value)} placeholder="team=data, env=test"
      autocomplete="off" spellcheck=${false} aria-invalid=${wrong ? "true" : null} aria-describedby=${`${id}-help`} />
    <small id=${`${id}-help`}>${wrong ? html`<span class="wrong"><${Icon} name="failed" /><span>${wrong}</span></span>`
      : "By which the run is found"}</small></label>`;
}
