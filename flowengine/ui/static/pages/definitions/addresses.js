// The addresses of definitions, on the page and in the API.
import { withQuery } from "../../app/api.js";

/**
 * @param {string} name
 * @param {{version?: number | string | null, tab?: string}} [more]
 */
export const definitionAddress = (name, more = {}) => withQuery(`/ui/definitions/${encodeURIComponent(name)}`, more);

/** @param {string} name @param {string} [below] such as "/versions" */
export const definitionPath = (name, below = "") => `/definitions/${encodeURIComponent(name)}${below}`;
