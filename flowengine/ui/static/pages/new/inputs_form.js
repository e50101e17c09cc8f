// The form of the inputs, made from the document's own word about them.
import { html, signal } from "../../vendor/preact.js";
import { LabelsField } from "../../parts/form/labels_field.js";
import { SchemaField, SchemaFields } from "../../parts/form/schema_fields.js";
import { ANY, fieldsOf, textOf } from "../../parts/form/schema_values.js";
import { check, given, givenLabels, labels, schema, values } from "./new_draft.js";

/** The fields that somebody has left, so that what is missing is said there. */
export const touched = signal(/** @type {Set<string>} */ (new Set()));

/** @param {{wrong: Record<string, string>}} props what the server says of the inputs, by name */
export function InputsForm({ wrong }) {
  const fields = fieldsOf(schema.value);
  /** @type {Record<string, string>} */
  const said = { ...wrong, ...given.value.wrong };
  for (const name of given.value.missing) if (touched.value.has(name) && !textOf(said, name)) said[name] = "It must be given";
  const shared = { onChange: change, onLeave: (/** @type {string} */ name) => { touched.value = new Set([...touched.value, name]); } };
  return html`<h2>Inputs</h2>
    ${fields && !Object.keys(fields).length && html`<p class="quiet small nothing">This workflow takes none.</p>`}
    <div class="two">
      ${fields ? html`<${SchemaFields} fields=${fields} schema=${schema.value} values=${values.value} said=${said} ...${shared} />`
        : html`<${SchemaField} key="any" name=${ANY} schema=${{ type: "object" }} value=${textOf(values.value, ANY)} wrong=${textOf(said, ANY)} required=${false}
          label="Inputs" help="The document does not say which it takes: it takes any." ...${shared} />`}
      <${LabelsField} id="new-labels" value=${labels.value} wrong=${givenLabels.value.wrong || wrong[" labels"]}
        onChange=${(/** @type {string} */ text) => { labels.value = text; check(); }} />
    </div>`;
}

/** @param {string} name @param {string} text */
function change(name, text) {
  values.value = { ...values.value, [name]: text };
  check();
}
