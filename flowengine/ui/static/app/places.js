// The places of the page: their names, addresses and keys.

/** @typedef {{name: string, part: string, href: string, key: string}} Place */

/** @type {Place[]} */
export const PLACES = [
  { name: "Runs", part: "runs", href: "/ui/runs", key: "r" },
  { name: "Definitions", part: "definitions", href: "/ui/definitions", key: "d" },
  { name: "Schedules", part: "schedules", href: "/ui/schedules", key: "s" },
  { name: "Waiting", part: "waiting", href: "/ui/waiting", key: "w" },
  { name: "New", part: "new", href: "/ui/new", key: "n" },
  { name: "System", part: "system", href: "/ui/system", key: "y" },
];
