// The addresses of definitions, on the page and in the API, and the text of what is there.
import { withQuery } from "../../app/api.js";

/**
 * @param {string} name
 * @param {{version?: number | string | null, tab?: string}} [more]
 */
export const definitionAddress = (name, more = {}) => withQuery(`/ui/definitions/${encodeURIComponent(name)}`, more);

/** @param {string} name @param {string} [below] such as "/versions" */
export const definitionPath = (name, below = "") => `/definitions/${encodeURIComponent(name)}${below}`;

/** @param {{document: any}} shown The document of a version as a text. */
export const textOf = ({ document }) => (typeof document === "string" ? document : JSON.stringify(document, null, 2));
