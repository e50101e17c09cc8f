// A form of a JSON Schema: what is typed, what is wrong with it by this page's word and by the API's.
import { html, useMemo, useState } from "../../vendor/preact.js";
import { SchemaField, SchemaFields } from "./schema_fields.js";
import { isObject } from "./schema_kinds.js";
import { ANY, defaultsOf, fieldsOf, rawOne, readOne, readValues, textOf } from "./schema_values.js";

/**
 * @typedef {object} Purpose
 * @property {string} prefix of the ids of the fields
 * @property {boolean} [isAnswer] an answer to a node, whose defaults are filled in; else the inputs of a start, whose are made there
 * @property {boolean} [isRequired] an answer that is no object must be given
 * @property {string} [label] of the one field of a value that is no object
 * @property {string} [help]
 *
 * @typedef {object} Form
 * @property {any} fields as they are drawn
 * @property {() => {value: any} | null} take the value if nothing is wrong; else the first wrong field gets the focus
 * @property {(problems: any[], root: string) => string[]} refuse puts the API's problems at their fields; what is of none is returned
 * @property {number} count how many fields there are
 */

/**
 * @param {any} schema
 * @param {Purpose} purpose
 * @returns {Form}
 */
export function useSchemaForm(schema, { prefix, isAnswer, isRequired, label = "Value", help }) {
  const names = fieldsOf(schema);
  const one = names ? null : isAnswer ? schema ?? {} : { type: "object" };
  const [typed, setTyped] = useState(() => /** @type {Record<string, string>} */ (isAnswer ? firstTexts(schema, one) : {}));
  const [touched, touch] = useState(/** @type {Set<string>} */ (new Set()));
  const [refused, setRefused] = useState(/** @type {Record<string, string>} */ ({}));
  const given = useMemo(() => names ? readValues(schema, typed) : readSingle(one, typed, Boolean(isRequired)), [schema, typed]);
  const said = { ...refused, ...given.wrong };
  for (const name of given.missing) if (touched.has(name) && !textOf(said, name)) said[name] = "It must be given";
  const shared = {
    prefix, isAnswer,
    onChange: (/** @type {string} */ name, /** @type {string} */ text) => {
      setTyped((before) => ({ ...before, [name]: text }));
      setRefused(({ [name]: _, ...others }) => others);
    },
    onLeave: (/** @type {string} */ name) => touch((before) => new Set([...before, name])),
  };
  const fields = names ? html`<${SchemaFields} fields=${names} schema=${schema} values=${typed} said=${said} ...${shared} />`
    : html`<${SchemaField} name=${ANY} schema=${one} value=${textOf(typed, ANY)} wrong=${textOf(said, ANY)} required=${Boolean(isRequired)}
        label=${label} help=${help} ...${shared} />`;
  const take = () => {
    const wrong = [...given.missing, ...Object.keys(given.wrong)];
    touch((before) => new Set([...before, ...given.missing]));
    if (!wrong.length) return { value: given.value };
    focusFirst(prefix, wrong, names ? Object.keys(names) : [ANY]);
    return null;
  };
  const refuse = (/** @type {any[]} */ problems, /** @type {string} */ root) => {
    const parted = byField(problems, root, names);
    setRefused(parted.said);
    focusFirst(prefix, Object.keys(parted.said), names ? Object.keys(names) : [ANY]);
    return parted.others;
  };
  return { fields, take, refuse, count: names ? Object.keys(names).length : 1 };
}

/** @param {any} schema @param {any} one @returns {Record<string, string>} */
function firstTexts(schema, one) {
  if (!one) return defaultsOf(schema);
  return isObject(one) && Object.hasOwn(one, "default") ? Object.fromEntries([[ANY, rawOne(one, one.default)]]) : {};
}

/**
 * @param {any} schema
 * @param {Record<string, string>} typed
 * @param {boolean} isRequired
 * @returns {import("./schema_values.js").Given}
 */
function readSingle(schema, typed, isRequired) {
  const { given, value, why } = readOne(schema, textOf(typed, ANY));
  return { value, wrong: why ? { [ANY]: why } : {}, missing: isRequired && !given && !why ? [ANY] : [] };
}

/** @param {any[]} problems @param {string} root @param {Record<string, any> | null} names */
function byField(problems, root, names) {
  /** @type {Record<string, string>} */
  const said = {};
  const others = [];
  for (const { pointer, message } of problems) {
    const inside = pointer === root || pointer.startsWith(`${root}/`);
    const name = names ? (pointer.slice(root.length + 1).split("/")[0] ?? "").replaceAll("~1", "/").replaceAll("~0", "~") : ANY;
    if (inside && (!names || Object.hasOwn(names, name))) said[name] ??= message;
    else others.push(message);
  }
  return { said, others };
}

/**
 * @param {string} prefix
 * @param {string[]} wrong
 * @param {string[]} order
 */
function focusFirst(prefix, wrong, order) {
  const first = order.find((name) => wrong.includes(name));
  if (first !== undefined) document.getElementById(`${prefix}-${first}`)?.focus();
}
