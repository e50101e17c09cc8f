// Fields of a form from a JSON Schema, and what is typed in them as JSON. Pure.

/** @typedef {"choice" | "switch" | "number" | "whole" | "date" | "secret" | "text" | "json"} Kind */

const KINDS = /** @type {Record<string, Kind>} */ ({ boolean: "switch", integer: "whole", number: "number", string: "text" });
const MOST_CHOICES = 500;

/** @param {any} schema of one input @returns {Kind} */
export function kindOf(schema) {
  if (schema?.writeOnly) return "secret";
  if (choicesOf(schema)) return "choice";
  if (schema?.type === "string" && schema.format === "date") return "date";
  return KINDS[schema?.type] ?? "json";
}

/** @param {any} schema @returns {any[] | null} the values that it allows, if it lists them */
export function choicesOf(schema) {
  if (schema && "const" in schema) return [schema.const];
  return Array.isArray(schema?.enum) && schema.enum.length <= MOST_CHOICES ? schema.enum : null;
}

/** @param {any} schema What it takes, in some words: "whole number, at least 0" */
export function wordsOf(schema) {
  const kind = kindOf(schema);
  const choices = choicesOf(schema);
  const first = { choice: `one of ${choices?.length}`, switch: "true or false", number: "number", whole: "whole number", date: "date",
    secret: "secret", text: schema?.format ?? "text", json: schema?.type ? `${[schema.type].flat().join(" or ")}, as JSON` : "JSON" }[kind];
  const limits = [
    limit(schema?.minimum, "at least"), limit(schema?.maximum, "at most"),
    limit(schema?.exclusiveMinimum, "more than"), limit(schema?.exclusiveMaximum, "less than"),
    schema?.minLength > 1 ? `${schema.minLength} characters or more` : "",
    schema?.maxLength !== undefined ? `up to ${schema.maxLength} characters` : "",
    schema?.maxItems !== undefined ? `up to ${schema.maxItems} items` : "",
  ];
  return [first, ...limits.filter(Boolean)].join(", ");
}

/** @param {any} value @param {string} words */
const limit = (value, words) => typeof value === "number" ? `${words} ${value}` : "";

/**
 * What is typed, as JSON. An empty field gives nothing.
 * @param {any} schema of all inputs
 * @param {Record<string, string>} typed
 * @returns {{inputs: Record<string, any>, wrong: Record<string, string>, missing: string[]}}
 */
export function readValues(schema, typed) {
  /** @type {Record<string, any>} */
  const inputs = {};
  /** @type {Record<string, string>} */
  const wrong = {};
  const properties = schema?.properties;
  if (!properties) {
    const any = read("json", typed[ANY] ?? "");
    if (any.wrong) wrong[ANY] = any.wrong;
    else if (any.given && !isObject(any.value)) wrong[ANY] = "The inputs are an object: {\"name\": value}";
    return { inputs: any.given && isObject(any.value) ? any.value : {}, wrong, missing: [] };
  }
  for (const name of Object.keys(properties)) {
    const found = read(kindOf(properties[name]), typed[name] ?? "");
    if (found.wrong) wrong[name] = found.wrong;
    else if (found.given) inputs[name] = found.value;
  }
  const missing = (schema.required ?? []).filter((/** @type {string} */ name) => !(name in inputs) && !(name in wrong));
  return { inputs, wrong, missing };
}

/** The one field of a document that says nothing of its inputs. */
export const ANY = "";

/**
 * @param {Kind} kind
 * @param {string} typed
 * @returns {{given: boolean, value?: any, wrong?: string}}
 */
function read(kind, typed) {
  if (typed === "") return { given: false };
  if (kind === "text" || kind === "secret" || kind === "date") return { given: true, value: typed };
  if (kind === "number" || kind === "whole") return number(kind, typed.trim());
  try {
    return { given: true, value: JSON.parse(typed) };
  } catch (error) {
    return { given: false, wrong: `No JSON: ${/** @type {Error} */ (error).message}` };
  }
}

/** @param {Kind} kind @param {string} typed */
function number(kind, typed) {
  if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(typed)) return { given: false, wrong: "No number: write it as 12 or 3.5" };
  const value = Number(typed);
  if (kind === "whole" && !Number.isInteger(value)) return { given: false, wrong: "No whole number" };
  if (!Number.isFinite(value) || (kind === "whole" && !Number.isSafeInteger(value))) {
    return { given: false, wrong: "The number is too large for this form: send it with the API" };
  }
  return { given: true, value };
}

/**
 * Values as they would have been typed. Secret ones are left empty: what is shown of them is a mask.
 * @param {any} schema
 * @param {Record<string, any>} inputs
 * @returns {Record<string, string>}
 */
export function rawOf(schema, inputs) {
  const properties = schema?.properties;
  if (!properties) return Object.keys(inputs).length ? { [ANY]: JSON.stringify(inputs, null, 2) } : {};
  const known = Object.entries(inputs).filter(([name]) => Object.hasOwn(properties, name) && !properties[name]?.writeOnly);
  return Object.fromEntries(known.map(([name, value]) => {
    const kind = kindOf(properties[name]);
    const asText = (kind === "text" || kind === "date") && typeof value === "string";
    return [name, asText ? value : JSON.stringify(value, null, kind === "json" ? 2 : undefined)];
  }));
}

/** @param {any} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
