// What happened, in one sentence: the cause before what follows from it.
import { html } from "../../../vendor/preact.js";
import { now } from "../../../app/clock.js";
import { at, counted, cutMiddle, duration } from "../../../app/format.js";
import { Icon } from "../../../parts/icon.js";
import { shownText } from "../../../parts/shown_text.js";
import { waitPhrase } from "../../../parts/words/waiting_words.js";
import { mapLine } from "../items/map_counts.js";
import { isConsequence } from "../node_changes.js";
import { select } from "../selection.js";

/** @typedef {import("../run_store.js").Node} Node */
/** @typedef {{look: string, lead: string, text: string}} Verdict */

const MOST_CHARS = 220;
const QUEUED_LONG_MS = 10_000;

/** @param {{store: import("../run_store.js").RunStore, onNext: () => void}} props */
export function VerdictLine({ store, onNext }) {
  const { look, lead, text: said } = verdictOf(store);
  const text = shownText(said);
  const failures = store.failures.value;
  return html`<p class=${`verdict is-${look}`}><${Icon} name=${look} /><span class="say"><b>${lead}</b> <bdi title=${text.length > MOST_CHARS ? text : null}>${short(text)}</bdi></span>
    ${failures.length > 0 && html`<button class="b bare next" type="button" onClick=${onNext}>${failures.length > 1 ? "Next failure" : "Show it"} <kbd>n</kbd></button>`}</p>`;
}

/** @param {import("../run_store.js").RunStore} store The next failure, or the one before; in a circle. @param {string} from @param {number} step */
export function toFailure(store, from, step) {
  const all = store.failures.value;
  if (!all.length) return;
  const here = all.indexOf(from);
  select(all[here < 0 ? (step > 0 ? 0 : all.length - 1) : (here + step + all.length) % all.length]);
}

/** @param {import("../run_store.js").RunStore} store @returns {Verdict} */
function verdictOf(store) {
  const run = store.run.value;
  const nodes = store.some(store.order.value);
  const own = store.failures.value.map((id) => store.node(id)).filter((node) => node && !node.tolerated && !node.hook);
  const cause = causeOf(/** @type {Node[]} */ (own), nodes);
  const { status, error } = run;
  const took = duration(store.isOver.value ? store.took() : now.value - at(run.started_at));
  if (status === "failed") return { look: "failed", lead: "Failed:", text: cause && error?.node ? cause : error?.message ?? cause };
  if (status === "cancelled") return { look: "cancelled", lead: "Cancelled:", text: error?.message ?? "it was stopped on request." };
  if (status === "cancelling") return { look: "running", lead: "Is being cancelled:", text: `${goesOn(nodes) || "the last nodes end"}; nothing more begins.` };
  if (status === "paused") return { look: "paused", lead: "Paused:", text: `nothing new begins until it is resumed.${cause ? ` It will end as failed: ${cause}` : ""}${sentence(goesOn(nodes))}` };
  if (run.waiting_for?.kind === "turn") return { look: "waiting", lead: "Waits for its turn:", text: turnOf(run.waiting_for) };
  if (status === "pending" && run.rerun_of && run.run === 0) return { look: "pending", lead: "Is being made:", text: "it copies the results that it reuses, and begins by itself then." };
  if (status === "pending") return { look: "pending", lead: "Not started.", text: "It is stored and has not been triggered." };
  if (status === "completed") return { look: "completed", lead: `Completed in ${took}.`, text: afterwards(run, nodes) };
  if (error) return { look: "failed", lead: "Will end as failed:", text: `${error.message}.${sentence(goesOn(nodes))}` };
  if (cause) return { look: "failed", lead: "Will end as failed:", text: `${cause}${sentence(goesOn(nodes))}` };
  return progressOf(nodes);
}

/** @param {Node[]} own @param {Node[]} nodes */
function causeOf(own, nodes) {
  if (!own.length) return "";
  const [first] = own;
  const tries = first.attempt > 1 ? `, after ${first.attempt} tries` : "";
  const others = own.length > 1 ? `; ${counted(own.length - 1, "other node")} failed too` : "";
  const after = nodes.filter((node) => !node.hook && isConsequence(node)).length;
  const consequence = after ? `, and ${counted(after, "node")} after ${own.length > 1 ? "them" : "it"} did not run` : "";
  const message = first.error?.message ?? first.error?.code ?? "it failed";
  return `${cutMiddle(first.id, 60)}: ${message.replace(/\.$/, "").slice(0, 2000)}${tries}${others}${consequence}.`;
}

/** @param {Node[]} nodes What still goes on. */
function goesOn(nodes) {
  const said = ["running", "waiting", "queued"].map((status) => ({ status, count: nodes.filter((node) => node.status === status).length }))
    .filter(({ count }) => count).map(({ status, count }) => `${count} ${status}`);
  return said.length ? `${said.join(", ")}` : "";
}

/** @param {any} run @param {Node[]} nodes */
function afterwards(run, nodes) {
  if (run.error) return run.error.message;
  if (run.hooks_failed) {
    const hook = nodes.find((node) => node.hook && node.status === "failed");
    return `But ${hook?.id ?? "a hook"} failed: ${hook?.error?.message ?? ""}`;
  }
  const tolerated = nodes.filter((node) => node.tolerated).length;
  return tolerated ? `${counted(tolerated, "node")} failed, which the workflow tolerates.` : "";
}

/** @param {Node[]} nodes @returns {Verdict} */
function progressOf(nodes) {
  const running = nodes.filter((node) => node.status === "running");
  const waiting = nodes.filter((node) => node.status === "waiting");
  const queued = nodes.filter((node) => node.status === "queued");
  if (running.length) return { look: "running", lead: "Running:", text: `${named(running)}${waiting.length ? `; ${counted(waiting.length, "node waits", "nodes wait")}` : ""}.` };
  if (waiting.length) return { look: "waiting", lead: "Waiting:", text: waitOf(waiting[0], waiting.length) };
  const oldest = Math.min(...queued.map((node) => at(node.queued_at)));
  if (queued.length && now.value - oldest > QUEUED_LONG_MS) {
    return { look: "queued", lead: "Nothing runs:", text: `${counted(queued.length, "node")} queued, for ${duration(now.value - oldest)} by now. Is a worker up that knows the handler ${queued[0].handler}? System tells.` };
  }
  if (queued.length) return { look: "queued", lead: "Queued:", text: `${named(queued)}.` };
  return { look: "running", lead: "Running.", text: "" };
}

/** @param {{key: string, place: number | null, limit: number}} turn */
const turnOf = ({ key, place, limit }) => `${counted(limit, "run")} of ‘${cutMiddle(key, 60)}’ may go on at once${place === null ? "" : `; it is number ${place} of those that run and wait`}.`;

/** @param {Node} node @param {number} count */
function waitOf(node, count) {
  const what = waitPhrase(node.waiting_for?.kind, at(node.waiting_for?.until) - now.value);
  return `${cutMiddle(node.id, 60)} ${what}${node.error ? `, after ${node.error.code}` : ""}${count > 1 ? `; ${counted(count - 1, "other node waits", "other nodes wait")}` : ""}.`;
}

/** @param {Node[]} nodes */
const named = (nodes) => nodes.slice(0, 2).map((node) => `${cutMiddle(node.id, 40)}${node.map ? ` (${mapLine(node.map)})` : ""}`).join(", ") + (nodes.length > 2 ? ` and ${nodes.length - 2} more` : "");

/** @param {string} text */
const sentence = (text) => (text ? ` ${text}.` : "");

/** @param {string} text */
const short = (text) => (text.length > MOST_CHARS ? `${text.slice(0, MOST_CHARS)}…` : text);
