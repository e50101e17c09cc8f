// What a JSON Schema asks of one value: in words, and whether a value keeps to it. Pure.
//
// Says at the field what the API would say on sending. What takes a regular expression of somebody else is left to
// the API: it could take for ever here.
import { choicesOf, kindOf } from "./schema_kinds.js";

/** @type {{name: string, words: (most: number) => string, breaks: (value: any, limit: number) => boolean}[]} */
const LIMITS = [
  { name: "minimum", words: (limit) => `at least ${limit}`, breaks: (value, limit) => typeof value === "number" && value < limit },
  { name: "maximum", words: (limit) => `at most ${limit}`, breaks: (value, limit) => typeof value === "number" && value > limit },
  { name: "exclusiveMinimum", words: (limit) => `more than ${limit}`, breaks: (value, limit) => typeof value === "number" && value <= limit },
  { name: "exclusiveMaximum", words: (limit) => `less than ${limit}`, breaks: (value, limit) => typeof value === "number" && value >= limit },
  { name: "minLength", words: (limit) => limit > 1 ? `${limit} characters or more` : "", breaks: (value, limit) => typeof value === "string" && [...value].length < limit },
  { name: "maxLength", words: (limit) => `up to ${limit} characters`, breaks: (value, limit) => typeof value === "string" && [...value].length > limit },
  { name: "minItems", words: (limit) => `${limit} items or more`, breaks: (value, limit) => Array.isArray(value) && value.length < limit },
  { name: "maxItems", words: (limit) => `up to ${limit} items`, breaks: (value, limit) => Array.isArray(value) && value.length > limit },
];

/** @type {Record<string, (value: any) => boolean>} */
const TYPES = {
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value), array: Array.isArray,
  string: (value) => typeof value === "string", number: (value) => typeof value === "number", integer: Number.isInteger,
  boolean: (value) => typeof value === "boolean", null: (value) => value === null,
};
const EXAMPLES = new Map([
  ["date-time", "2026-03-01T08:00:00Z"], ["time", "08:00:00Z"], ["duration", "PT15M"], ["email", "a@example.com"],
  ["uri", "https://example.com"], ["hostname", "example.com"], ["ipv4", "192.0.2.1"], ["ipv6", "2001:db8::1"], ["uuid", "8-4-4-4-12 hex digits"],
]);

/** @param {any} schema What it takes, in some words: "whole number, at least 0" */
export function wordsOf(schema) {
  const kind = kindOf(schema);
  const types = [schema?.type].flat().filter((each) => typeof each === "string");
  const first = { choice: `one of ${choicesOf(schema)?.length}`, switch: "true or false", number: "number", whole: "whole number", date: "date",
    secret: "secret", text: typeof schema?.format === "string" ? schema.format : "text", lines: "text", json: types.length ? `${types.join(" or ")}, as JSON` : "JSON" }[kind];
  const limits = LIMITS.map(({ name, words }) => typeof schema?.[name] === "number" ? words(schema[name]) : "");
  return [first, ...limits.filter(Boolean)].join(", ");
}

/** @param {any} schema How a text of its format is written, or "". */
export const exampleOf = (schema) => EXAMPLES.get(schema?.format) ?? "";

/** @param {any} schema @param {any} value Why the value cannot be taken, as far as that is seen here; or "". */
export function breach(schema, value) {
  const types = [schema?.type].flat().filter((each) => typeof each === "string" && Object.hasOwn(TYPES, each));
  if (types.length && !types.some((type) => TYPES[type](value))) return `It must be ${types.map(withArticle).join(" or ")}`;
  const broken = LIMITS.find(({ name, breaks }) => typeof schema?.[name] === "number" && breaks(value, schema[name]));
  if (!broken) return "";
  const words = broken.words(schema[broken.name]) || "not empty";
  return `It must be ${/Length|Items/.test(broken.name) && !words.startsWith("not") ? "of " : ""}${words}`;
}

/** @param {string} type */
const withArticle = (type) => type === "null" ? type : `${/^[aio]/.test(type) ? "an" : "a"} ${type}`;
