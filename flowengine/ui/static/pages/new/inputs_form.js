// The form of the inputs, made from the document's own word about them.
import { html, signal } from "../../vendor/preact.js";
import { Icon } from "../../parts/icon.js";
import { ANY, choicesOf, kindOf, wordsOf } from "./input_values.js";
import { check, given, givenLabels, labels, schema, values } from "./new_draft.js";

/** The fields that somebody has left, so that what is missing is said there. */
export const touched = signal(/** @type {Set<string>} */ (new Set()));

/** @param {{wrong: Record<string, string>}} props what the server says of the inputs, by name */
export function InputsForm({ wrong }) {
  const properties = schema.value?.properties;
  const names = Object.keys(properties ?? {});
  const said = { ...wrong, ...given.value.wrong };
  for (const name of given.value.missing) if (touched.value.has(name)) said[name] ??= "It must be given";
  return html`<h2>Inputs</h2>
    ${properties && !names.length && html`<p class="quiet small nothing">This workflow takes none.</p>`}
    <div class="two">
      ${names.map((name) => html`<${InputField} key=${`in ${name}`} name=${name} schema=${properties[name]} wrong=${said[name]}
        required=${schema.value?.required?.includes(name) ?? false} />`)}
      ${!properties && html`<${InputField} key="any" name=${ANY} schema=${{ type: "object" }} wrong=${said[ANY]} required=${false}
        label="Inputs" help="The document does not say which it takes: it takes any." />`}
      <${LabelsField} wrong=${givenLabels.value.wrong || wrong[" labels"]} />
    </div>`;
}

/**
 * @param {{name: string, schema: any, wrong?: string, required: boolean, label?: string, help?: string}} props
 */
function InputField({ name, schema: one, wrong, required, label, help }) {
  const kind = kindOf(one);
  const id = `input-${name}`;
  const value = values.value[name] ?? "";
  const change = (/** @type {Event} */ event) => {
    values.value = { ...values.value, [name]: /** @type {HTMLInputElement} */ (event.target).value };
    check();
  };
  const leave = () => { touched.value = new Set([...touched.value, name]); };
  const shared = {
    id, class: "in", onInput: change, onBlur: leave, "aria-required": required ? "true" : null,
    "aria-invalid": wrong ? "true" : null, "aria-describedby": `${id}-help`,
  };
  return html`<label class=${kind === "json" ? "field whole" : "field"} for=${id}>
    <span><bdi class="cut" title=${name}>${label ?? name}</bdi><i>${wordsOf(one)}${required ? ", required" : ""}</i></span>
    ${fieldOf(kind, one, value, shared, required)}
    <small id=${`${id}-help`}>${wrong ? html`<span class="wrong"><${Icon} name="failed" /><span>${wrong}</span></span>`
      : help ?? helpOf(one, required)}</small></label>`;
}

/**
 * @param {import("./input_values.js").Kind} kind
 * @param {any} one
 * @param {string} value
 * @param {Record<string, any>} shared
 * @param {boolean} required
 */
function fieldOf(kind, one, value, shared, required) {
  const empty = defaultWords(one) || (required ? "choose" : "not given");
  if (kind === "choice" || kind === "switch") {
    const choices = kind === "switch" ? [true, false] : choicesOf(one) ?? [];
    return html`<select ...${shared} value=${value}><option value="">${empty}</option>
      ${choices.map((each) => html`<option value=${JSON.stringify(each)}>${typeof each === "string" ? each : JSON.stringify(each)}</option>`)}</select>`;
  }
  if (kind === "json") {
    return html`<textarea ...${shared} class="in mono" rows="3" spellcheck=${false} value=${value} placeholder=${defaultText(one)}></textarea>`;
  }
  const type = kind === "secret" ? "password" : kind === "date" ? "date" : "text";
  const mode = kind === "number" || kind === "whole" ? "decimal" : null;
  return html`<input ...${shared} type=${type} inputmode=${mode} value=${value} placeholder=${defaultText(one)}
    autocomplete=${kind === "secret" ? "new-password" : "off"} spellcheck=${false} />`;
}

/** @param {any} one @param {boolean} required */
function helpOf(one, required) {
  const about = typeof one?.description === "string" ? `${one.description} ` : "";
  if ("default" in (one ?? {})) return html`<bdi>${about}</bdi>Left empty: ${defaultText(one)}`;
  if (one?.writeOnly) return html`<bdi>${about}</bdi>Shown to nobody, and not kept in this browser.`;
  return html`<bdi>${about}</bdi>${required ? "" : "Left empty: its default, if it has one, made at the start."}`;
}

/** @param {any} one */
function defaultText(one) {
  if (!one || !("default" in one)) return "";
  const text = typeof one.default === "string" ? one.default : JSON.stringify(one.default);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

/** @param {any} one */
const defaultWords = (one) => one && "default" in one ? `${defaultText(one)} (default)` : "";

/** @param {{wrong?: string}} props */
function LabelsField({ wrong }) {
  const change = (/** @type {Event} */ event) => {
    labels.value = /** @type {HTMLInputElement} */ (event.target).value;
    check();
  };
  return html`<label class="field" for="new-labels"><span>Labels<i>optional</i></span>
    <input class="in" id="new-labels" value=${labels.value} onInput=${change} placeholder="team=data, env=test" autocomplete="off" spellcheck=${false}
      aria-invalid=${wrong ? "true" : null} aria-describedby="new-labels-help" />
    <small id="new-labels-help">${wrong ? html`<span class="wrong"><${Icon} name="failed" /><span>${wrong}</span></span>`
      : "By which the run is found"}</small></label>`;
}
