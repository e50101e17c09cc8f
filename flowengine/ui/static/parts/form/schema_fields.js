// The fields of a form, made from a JSON Schema: each with what it takes, what it is about, and what is wrong with it.
import { html } from "../../vendor/preact.js";
import { Icon } from "../icon.js";
import { shownText } from "../shown_text.js";
import { choicesOf, kindOf } from "./schema_kinds.js";
import { exampleOf, wordsOf } from "./schema_limits.js";
import { requiredOf, textOf } from "./schema_values.js";

const MOST_CHARS = 600;
const MOST_CHOICE_CHARS = 200;

/**
 * @typedef {object} FieldsProps
 * @property {Record<string, any>} fields their schemas
 * @property {any} schema of the whole: which are required
 * @property {Record<string, string>} values as they are typed
 * @property {Record<string, string>} said what is wrong, by name
 * @property {(name: string, text: string) => void} onChange
 * @property {(name: string) => void} onLeave
 * @property {string} [prefix] of the ids
 * @property {boolean} [isAnswer] defaults are filled in: what is left empty is not given
 */

/** @param {FieldsProps} props */
export function SchemaFields({ fields, schema, values, said, onChange, onLeave, prefix = "input", isAnswer }) {
  const required = new Set(requiredOf(schema));
  return Object.keys(fields).map((name) => html`<${SchemaField} key=${`in ${name}`} name=${name} schema=${fields[name]} value=${textOf(values, name)}
    wrong=${textOf(said, name)} required=${required.has(name)} onChange=${onChange} onLeave=${onLeave} prefix=${prefix} isAnswer=${isAnswer} />`);
}

/**
 * @param {{name: string, schema: any, value: string, wrong: string, required: boolean, onChange: (name: string, text: string) => void,
 *   onLeave: (name: string) => void, prefix?: string, isAnswer?: boolean, label?: string, help?: string}} props
 */
export function SchemaField({ name, schema, value, wrong, required, onChange, onLeave, prefix = "input", isAnswer, label, help }) {
  const kind = kindOf(schema);
  const id = `${prefix}-${name}`;
  const shared = {
    id, class: "in", onBlur: () => onLeave(name), "aria-required": required ? "true" : null,
    onInput: (/** @type {Event} */ event) => onChange(name, /** @type {HTMLInputElement} */ (event.target).value),
    "aria-invalid": wrong ? "true" : null, "aria-describedby": `${id}-help`,
  };
  const about = help ?? helpOf(schema, required, isAnswer);
  return html`<label class=${kind === "json" || kind === "lines" ? "field whole" : "field"} for=${id}>
    <span><bdi class="cut" title=${name.slice(0, MOST_CHARS)}>${label ?? shownText(name.slice(0, MOST_CHARS))}</bdi><i>${wordsOf(schema)}${required ? ", required" : ""}</i></span>
    ${fieldOf(kind, schema, value, shared, required, isAnswer)}
    <small id=${`${id}-help`}>${wrong ? html`<span class="wrong"><${Icon} name="failed" /><span>${wrong}</span></span>` : about}</small></label>`;
}

/**
 * @param {import("./schema_kinds.js").Kind} kind
 * @param {any} schema
 * @param {string} value
 * @param {Record<string, any>} shared
 * @param {boolean} required
 * @param {boolean} [isAnswer]
 */
function fieldOf(kind, schema, value, shared, required, isAnswer) {
  const hint = isAnswer ? exampleOf(schema) : defaultText(schema) || exampleOf(schema);
  if (kind === "choice" || kind === "switch") {
    const choices = kind === "switch" ? [true, false] : choicesOf(schema) ?? [];
    const empty = !isAnswer && hasDefault(schema) ? `${defaultText(schema)} (default)` : required ? "choose" : "not given";
    return html`<select ...${shared} value=${value}><option value="">${empty}</option>
      ${choices.map((each) => html`<option value=${JSON.stringify(each)}>${shownText((typeof each === "string" ? each : JSON.stringify(each)).slice(0, MOST_CHOICE_CHARS))}</option>`)}</select>`;
  }
  if (kind === "json" || kind === "lines") {
    return html`<textarea ...${shared} class=${kind === "json" ? "in mono" : "in"} rows="3" spellcheck=${false} value=${value} placeholder=${hint}></textarea>`;
  }
  const type = kind === "secret" ? "password" : kind === "date" ? "date" : "text";
  const mode = kind === "number" || kind === "whole" ? "decimal" : null;
  return html`<input ...${shared} type=${type} inputmode=${mode} value=${value} placeholder=${hint}
    autocomplete=${kind === "secret" ? "new-password" : "off"} spellcheck=${false} />`;
}

/** @param {any} schema @param {boolean} required @param {boolean} [isAnswer] */
function helpOf(schema, required, isAnswer) {
  const about = typeof schema?.description === "string" ? html`<bdi>${sentence(shownText(schema.description.slice(0, MOST_CHARS)))}</bdi>${" "}` : null;
  if (isAnswer) return about;
  if (hasDefault(schema)) return html`${about}${choicesOf(schema) || kindOf(schema) === "switch" ? "" : html`Left empty: ${defaultText(schema)}`}`;
  if (schema?.writeOnly) return html`${about}Shown to nobody, and not kept in this browser.`;
  return html`${about}${required ? "" : "Left empty: its default, if it has one, made at the start."}`;
}

/** @param {string} text Ends as a sentence does: another one follows. */
const sentence = (text) => (/[.!?:]\s*$/.test(text) ? text : `${text}.`);

/** @param {any} schema */
const hasDefault = (schema) => typeof schema === "object" && schema !== null && Object.hasOwn(schema, "default");

/** @param {any} schema */
function defaultText(schema) {
  if (!hasDefault(schema)) return "";
  const text = typeof schema.default === "string" ? schema.default : JSON.stringify(schema.default);
  return shownText(text.length > 80 ? `${text.slice(0, 79)}…` : text);
}
