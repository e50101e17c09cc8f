// The address is the state of the page: its path names the place, its query the filters, tab and node.
import { computed, signal } from "../vendor/preact.js";

const ROOT = "/ui";

/** The address, as it is. */
export const address = signal(new URL(location.href));

/** The path below /ui, in parts: ["runs", "ID"]. */
export const parts = computed(() =>
  address.value.pathname.slice(ROOT.length).split("/").filter(Boolean).map(decoded));

/** The query. */
export const query = computed(() => address.value.searchParams);

/**
 * Go to an address of this page.
 * @param {string} href such as "/ui/runs"
 * @param {{replace?: boolean}} [how] `replace`: no new entry in the history
 */
export function navigate(href, how = {}) {
  const url = new URL(href, location.href);
  if (url.href === address.value.href) return;
  if (how.replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  address.value = url;
}

/**
 * Change the query; null or "" takes a name out, an array gives it several times.
 * @param {Record<string, string | string[] | null>} changes
 * @param {{replace?: boolean}} [how]
 */
export function setQuery(changes, how = { replace: true }) {
  const url = new URL(address.value);
  for (const [name, value] of Object.entries(changes)) {
    url.searchParams.delete(name);
    for (const each of Array.isArray(value) ? value : [value]) if (each) url.searchParams.append(name, each);
  }
  navigate(url.href, how);
}

/**
 * @param {string} id The address of a run.
 * @param {Record<string, string>} [more] its query
 */
export function runAddress(id, more) {
  const search = more ? `?${new URLSearchParams(more)}` : "";
  return `${ROOT}/runs/${encodeURIComponent(id)}${search}`;
}

/** @param {string} left @param {string} right The address that shows two runs beside each other. */
export const compareAddress = (left, right) => `${ROOT}/compare?${new URLSearchParams({ left, right })}`;

/** Follow the history and the links of this page without loading it anew. */
export function startRouter() {
  addEventListener("popstate", () => { address.value = new URL(location.href); });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = /** @type {Element} */ (event.target).closest("a[href]");
    if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || !(url.pathname === ROOT || url.pathname.startsWith(`${ROOT}/`))) return;
    event.preventDefault();
    navigate(url.href);
    if (!url.hash) scrollTo(0, 0);
  });
}

/** @param {string} text */
function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}
