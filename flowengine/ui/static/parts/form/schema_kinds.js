// Which kind of field a JSON Schema asks for. Pure.

/** @typedef {"choice" | "switch" | "number" | "whole" | "date" | "secret" | "text" | "lines" | "json"} Kind */

const KINDS = new Map(/** @type {[string, Kind][]} */ ([["boolean", "switch"], ["integer", "whole"], ["number", "number"], ["string", "text"]]));
const MOST_CHOICES = 500;
const LONG_TEXT = 300;

/** @param {any} schema of one input @returns {Kind} */
export function kindOf(schema) {
  const type = typeOf(schema);
  if (schema?.writeOnly && (type === "string" || !type)) return "secret";
  if (choicesOf(schema)) return "choice";
  const kind = KINDS.get(type) ?? "json";
  if (kind !== "text") return kind;
  if (schema.format === "date") return "date";
  return schema.maxLength > LONG_TEXT || (typeof schema.default === "string" && schema.default.includes("\n")) ? "lines" : "text";
}

/** @param {any} schema Its type; of one that may also be null, the other. */
function typeOf(schema) {
  const types = [schema?.type].flat().filter((each) => each !== "null");
  return types.length === 1 && typeof types[0] === "string" ? types[0] : "";
}

/** @param {any} schema @returns {any[] | null} the values that it allows, if it lists them */
export function choicesOf(schema) {
  if (!isObject(schema)) return null;
  if (Object.hasOwn(schema, "const")) return [schema.const];
  return Array.isArray(schema.enum) && schema.enum.length <= MOST_CHOICES ? schema.enum : null;
}

/** @param {any} value */
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
