// What happened to a node, in a sentence, and what follows from it. Pure.
import { at, counted, duration } from "../../../app/format.js";
import { lookOf } from "../../../parts/status.js";
import { mapSentence } from "../items/map_counts.js";
import { isConsequence } from "../node_changes.js";
import { errorWords, listed, progressWords, ranFor, skippedWords, tryWords, waitWords } from "../words/node_words.js";

/**
 * @typedef {import("../run_store.js").Node} Node
 * @typedef {{said: string, follows: string, look: string}} Happened
 *
 * @param {Node} node
 * @param {Node[]} all nodes of the run
 * @param {{status: string}} run
 * @param {number} now ms
 * @returns {Happened}
 */
export function happenedTo(node, all, run, now) {
  const below = all.filter((each) => each.dependencies.includes(node.id));
  const look = lookOf(node.status);
  return { ...(SENTENCES[node.status] ?? SENTENCES.pending)({ node, all, below, run, now }), look };
}

/** @typedef {{node: Node, all: Node[], below: Node[], run: {status: string}, now: number}} Known */

/** @type {Record<string, (known: Known) => {said: string, follows: string}>} */
const SENTENCES = {
  pending: ({ node, all, run }) => ({ said: notYet(node, all, run), follows: "" }),
  queued: ({ node, now }) => ({
    said: `It has been in the queue for ${duration(now - at(node.queued_at))}: no worker has taken it yet.`,
    follows: "The page System shows the queues and who serves them.",
  }),
  running: ({ node, below, now }) => ({
    said: `It has run for ${duration(ranFor(node, now))}${tryWords(node)}.${node.map ? ` ${mapSentence(node.map)}` : node.progress ? ` ${capital(progressWords(node.progress))}.` : ""}`,
    follows: below.length ? `${listed(idsOf(below))} ${below.length > 1 ? "wait" : "waits"} for it.` : "",
  }),
  waiting: ({ node, now }) => ({
    said: node.error ? `Try ${node.attempt} failed: ${sentence(node.error.message)}` : node.waiting_for?.prompt ?? "It waits.",
    follows: `${capital(waitWords(node, now))}.`,
  }),
  completed: ({ node, below, now }) => ({
    said: node.cached ? "Its result was given at another time and is in the cache: its handler was not called." : node.map?.failed ? `It completed. ${mapSentence(node.map)}` : node.iteration ? `It completed with iteration ${node.iteration}.` : node.started_at ? `It completed in ${duration(ranFor(node, now))}${node.attempt > 1 ? `, with try ${node.attempt}` : ""}.` : "It completed.",
    follows: below.length ? `${listed(idsOf(below))} ${below.length > 1 ? "depend" : "depends"} on it.` : "",
  }),
  failed: (known) => (isConsequence(known.node) ? notRun(known) : failedItself(known)),
  skipped: ({ node, below }) => {
    const skipped = below.filter((each) => each.skipped === "upstream_skipped");
    return { said: `It did not run: ${skippedWords(node.skipped)}.`, follows: skipped.length ? `${listed(idsOf(skipped))} ${were(skipped)} skipped because of it.` : "" };
  },
  cancelled: ({ node }) => ({ said: node.started_at ? "It was stopped before it had a result." : "It was cancelled before it ran.", follows: "" }),
};

/** @param {Known} known */
function failedItself({ node, all }) {
  const after = all.filter((each) => each.error?.caused_by === node.id);
  const tries = node.attempt > 1 ? ` It was try ${node.attempt}; there is no other.` : "";
  const consequence = after.length ? `${listed(idsOf(after))} did not run because of it.` : node.tolerated ? "" : "Nothing else depended on it.";
  return {
    said: `${sentence(node.error?.message ?? errorWords(node.error))}${tries}`,
    follows: node.tolerated ? `The failure is tolerated: the run goes on. ${consequence}`.trim() : consequence,
  };
}

/** @param {Known} known */
function notRun({ node, all }) {
  const cause = all.find((each) => each.id === node.error?.caused_by);
  return { said: `It did not run, because ${node.error?.caused_by ?? "what it depends on"} failed.`, follows: cause?.error ? sentence(cause.error.message) : "" };
}

/**
 * @param {Node} node
 * @param {Node[]} all
 * @param {{status: string}} run
 */
function notYet(node, all, run) {
  if (run.status === "pending") return "It has not run: the run was not triggered.";
  if (node.hook && !node.dependencies.length) return "It is a hook: its turn comes when the main nodes have ended.";
  const waits = node.dependencies.filter((id) => !ENDED.has(all.find((each) => each.id === id)?.status ?? ""));
  if (waits.length) return `It waits for ${counted(waits.length, "node")} to end: ${listed(waits)}.`;
  return run.status === "paused" ? "It could run, but the run is paused." : "It has not been dispatched yet.";
}

const ENDED = new Set(["completed", "failed", "skipped", "cancelled"]);
/** @param {Node[]} nodes */
const idsOf = (nodes) => nodes.map(({ id }) => id);
/** @param {any[]} many */
const were = (many) => (many.length > 1 ? "were" : "was");
/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {string} text A message as a sentence, without the place in the code, cut where it is long. */
function sentence(text) {
  const line = text.split("\n")[0].replace(/\s*\([^()\s]+:\d+\)$/, "").trim();
  const cut = line.length > 280 ? `${line.slice(0, 279)}…` : line;
  return /[.!?…]$/.test(cut) ? cut : `${cut}.`;
}
