// What is typed in the fields of a form that a JSON Schema describes, as JSON. Pure.
//
// Schemas and names come from anybody's document: nothing is read from an object that it does not have itself.
import { isObject, kindOf } from "./schema_kinds.js";
import { breach } from "./schema_limits.js";

/** @typedef {{value: any, wrong: Record<string, string>, missing: string[]}} Given */

/** The one field of a document that says nothing of its inputs, or of a value that is no object. */
export const ANY = "";

/** @param {any} schema @returns {Record<string, any> | null} the schemas of its fields, if it names some */
export function fieldsOf(schema) {
  return isObject(schema?.properties) ? schema.properties : null;
}

/** @param {any} schema @returns {string[]} */
export const requiredOf = (schema) =>
  Array.isArray(schema?.required) ? schema.required.filter((/** @type {any} */ each) => typeof each === "string") : [];

/**
 * What is typed, as JSON. An empty field gives nothing.
 * @param {any} schema of all inputs
 * @param {Record<string, string>} typed
 * @returns {Given}
 */
export function readValues(schema, typed) {
  const fields = fieldsOf(schema);
  if (!fields) return readAny(typed);
  /** @type {[string, any][]} */
  const found = [];
  /** @type {[string, string][]} */
  const wrong = [];
  for (const [name, one] of Object.entries(fields)) {
    const { given, value, why } = readOne(one, textOf(typed, name));
    if (why) wrong.push([name, why]);
    else if (given) found.push([name, value]);
  }
  const known = new Set([...found, ...wrong].map(([name]) => name));
  return { value: Object.fromEntries(found), wrong: Object.fromEntries(wrong), missing: requiredOf(schema).filter((name) => !known.has(name)) };
}

/** @param {Record<string, string>} typed @returns {Given} */
function readAny(typed) {
  const { given, value, why } = readOne({}, textOf(typed, ANY));
  const wrong = why || (given && !isObject(value) ? "The inputs are an object: {\"name\": value}" : "");
  return { value: given && !wrong ? value : {}, wrong: wrong ? { [ANY]: wrong } : {}, missing: [] };
}

/**
 * What is typed in one field, as JSON.
 * @param {any} schema
 * @param {string} typed
 * @returns {{given: boolean, value?: any, why: string}} `why` it cannot be taken, or ""
 */
export function readOne(schema, typed) {
  const found = read(kindOf(schema), typed);
  return { ...found, why: found.why || (found.given ? breach(schema, found.value) : "") };
}

/** @param {Record<string, string>} typed @param {string} name What stands in a field. */
export const textOf = (typed, name) => (Object.hasOwn(typed, name) ? typed[name] : "");

/**
 * @param {import("./schema_kinds.js").Kind} kind
 * @param {string} typed
 * @returns {{given: boolean, value?: any, why: string}}
 */
function read(kind, typed) {
  if (typed === "") return { given: false, why: "" };
  if (kind === "text" || kind === "lines" || kind === "secret" || kind === "date") return { given: true, value: typed, why: "" };
  if (kind === "number" || kind === "whole") return number(kind, typed.trim());
  try {
    return { given: true, value: JSON.parse(typed), why: "" };
  } catch (error) {
    return { given: false, why: `No JSON: ${/** @type {Error} */ (error).message}` };
  }
}

/** @param {import("./schema_kinds.js").Kind} kind @param {string} typed */
function number(kind, typed) {
  if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(typed)) return { given: false, why: "No number: write it as 12 or 3.5" };
  const value = Number(typed);
  if (kind === "whole" && !Number.isInteger(value)) return { given: false, why: "No whole number" };
  if (!Number.isFinite(value) || (kind === "whole" && !Number.isSafeInteger(value))) {
    return { given: false, why: "The number is too large for this form: send it with the API" };
  }
  return { given: true, value, why: "" };
}

/**
 * Values as they would have been typed. Secret ones are left empty: what is shown of them is a mask.
 * @param {any} schema
 * @param {Record<string, any>} inputs
 * @returns {Record<string, string>}
 */
export function rawOf(schema, inputs) {
  const fields = fieldsOf(schema);
  if (!fields) return Object.keys(inputs).length ? { [ANY]: JSON.stringify(inputs, null, 2) } : {};
  const known = Object.entries(inputs).filter(([name]) => Object.hasOwn(fields, name) && !fields[name]?.writeOnly);
  return Object.fromEntries(known.map(([name, value]) => [name, rawOne(fields[name], value)]));
}

/** @param {any} schema @param {any} value What would have been typed for one value. */
export function rawOne(schema, value) {
  const kind = kindOf(schema);
  if (typeof value === "string" && (kind === "text" || kind === "lines" || kind === "date")) return value;
  return JSON.stringify(value, null, kind === "json" ? 2 : undefined);
}

/** @param {any} schema @returns {Record<string, string>} the defaults of its fields, as they would have been typed */
export function defaultsOf(schema) {
  const fields = Object.entries(fieldsOf(schema) ?? {}).filter(([, one]) => isObject(one) && Object.hasOwn(one, "default"));
  return Object.fromEntries(fields.map(([name, one]) => [name, rawOne(one, one.default)]));
}
