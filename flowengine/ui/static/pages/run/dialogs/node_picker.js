// A choice of nodes by their ids: typed, or taken from the list that the browser offers.
import { html, useRef, useState } from "../../../vendor/preact.js";
import { Icon } from "../../../parts/icon.js";

/**
 * @param {{label: string, help: string, ids: string[], chosen: string[], onChange: (ids: string[]) => void, name: string}} props
 */
export function NodePicker({ label, help, ids, chosen, onChange, name }) {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [wrong, say] = useState("");
  const add = () => {
    const id = field.current?.value.trim() ?? "";
    if (!id || !field.current) return;
    if (!ids.includes(id)) return say(`There is no node called '${id}'.`);
    say("");
    field.current.value = "";
    if (!chosen.includes(id)) onChange([...chosen, id]);
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    add();
  };
  return html`<div class="field"><label for=${`pick-${name}`}><b>${label}</b> <span class="faint small">${help}</span></label>
    <input class="in" id=${`pick-${name}`} ref=${field} list=${`ids-${name}`} onKeyDown=${onKeyDown} onChange=${add} autocomplete="off"
      aria-invalid=${wrong ? "true" : null} />
    <datalist id=${`ids-${name}`}>${ids.map((id) => html`<option value=${id} />`)}</datalist>
    ${wrong && html`<small class="wrong is-failed" role="alert"><${Icon} name="failed" />${wrong}</small>`}
    ${chosen.length > 0 && html`<ul class="picked-nodes">${chosen.map((id) => html`<li key=${id} class="tag"><span class="cut">${id}</span>
      <button class="b bare square tight" type="button" aria-label=${`Take out ${id}`}
        onClick=${() => onChange(chosen.filter((each) => each !== id))}><${Icon} name="x" /></button></li>`)}</ul>`}</div>`;
}
