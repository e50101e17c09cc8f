// An event as a sentence: what happened, and who did it. Pure.
import { errorWords, skippedWords } from "./node_words.js";

/** @typedef {import("../history/run_events.js").RunEvent} RunEvent */

/**
 * Groups of kinds, as people ask for them.
 * @type {{key: string, name: string, kinds: string[]}[]}
 */
export const GROUPS = [
  { key: "failures", name: "Failures and further tries", kinds: ["node_failed", "node_waiting", "node_returned"] },
  { key: "ends", name: "How nodes ended", kinds: ["node_completed", "node_failed", "node_skipped", "node_cancelled"] },
  { key: "run", name: "The run itself", kinds: ["execution_started", "execution_rerun", "execution_paused", "execution_resumed", "execution_stopping", "stage_started", "execution_finished"] },
  { key: "people", name: "What people did", kinds: ["execution_rerun", "execution_paused", "execution_resumed", "node_overruled"] },
];

/** @type {Record<string, string>} */
const LOOKS = {
  execution_started: "running", execution_rerun: "running", node_reset: "pending", node_queued: "queued", node_opened: "running", node_started: "running",
  node_returned: "queued", node_completed: "completed", node_failed: "failed", node_waiting: "waiting", node_iterated: "waiting", node_in_line: "waiting", node_skipped: "skipped",
  node_cancelled: "cancelled", node_overruled: "paused", execution_paused: "paused", execution_resumed: "running",
  execution_stopping: "cancelled", stage_started: "running", execution_queued: "pending", execution_admitted: "running",
};

/** @type {Record<string, string>} */
const STAGES = { outputs: "The outputs are computed.", on_failure: "The nodes of on_failure begin.", finally: "The nodes of finally begin." };
/** @type {Record<string, string>} */
const STOPPED = {
  cancel: "The run is being cancelled.", end: "An end stops the run.", node_failure: "A failure stops the run.",
  timeout: "The run's time is over: it is being stopped.", hooks_timeout: "The time of the hooks is over: they are being stopped.",
};
/** @type {Record<string, string>} */
const SAID = { skip: "skipped it", complete: "completed it", fail: "failed it" };

/** @param {RunEvent} event Its icon; that of a consequence is hollow. */
export function lookOfEvent(event) {
  if (event.kind === "node_failed" && event.code === "upstream_failed") return "failed-after";
  return LOOKS[event.kind] ?? (event.kind === "execution_finished" ? event.status ?? "completed" : "pending");
}

/**
 * Whether an event is of a group, by its key, or of this kind. What somebody has asked for is what people did.
 * @param {RunEvent} event
 * @param {string} wanted
 */
export function isOfKind(event, wanted) {
  const group = GROUPS.find(({ key }) => key === wanted);
  if (!group) return event.kind === wanted;
  return group.kinds.includes(event.kind) || (wanted === "people" && event.by !== undefined);
}

/**
 * What happened, behind the name of the node if there is one.
 * @param {RunEvent} event
 */
export function eventWords(event) {
  const tried = (event.attempt ?? 0) > 1 ? `, try ${event.attempt}` : "";
  const who = event.by ? `the key ${event.by}` : "an operator";
  switch (event.kind) {
    case "execution_started": return `${event.run && event.run > 1 ? `Run ${event.run}` : "The run"} began${event.by ? `: ${who} started it` : ""}.`;
    case "execution_rerun": return `${capital(event.by ? who : "somebody")} asked for a rerun${event.mode ? ` (${event.mode})` : ""}.`;
    case "execution_paused": return `The run was paused${event.by ? ` by ${who}` : ""}: nothing new begins.`;
    case "execution_resumed": return `The run goes on${event.by ? `: ${who} resumed it` : ""}.`;
    case "execution_queued": return "The run waits for its turn.";
    case "execution_admitted": return "Its turn has come.";
    case "execution_stopping": return stoppedWords(event, who);
    case "execution_finished": return `The run ended: ${event.status}.`;
    case "stage_started": return STAGES[event.stage ?? ""] ?? `${event.stage} begins.`;
    case "node_reset": return "is to run again.";
    case "node_queued": return `was sent to the workers${tried}.`;
    case "node_opened": return event.child ? `runs as an execution of its own${tried}.` : `knows its items${tried}: they run.`;
    case "node_started": return `runs${tried}.`;
    case "node_returned": return `was given back by its worker${tried}: another one takes it.`;
    case "node_completed": return `completed${tried}.`;
    case "node_failed": return event.code === "upstream_failed" ? "did not run: what it depends on failed." : `failed${tried}: ${errorWords({ code: event.code ?? "unknown" })}.`;
    case "node_waiting": return event.code ? `failed${tried}: ${errorWords({ code: event.code })}. It is tried again.` : `waits${tried}.`;
    case "node_iterated": return `has ended iteration ${event.iteration}: another one follows.`;
    case "node_in_line": return `waits for its turn${tried}.`;
    case "node_skipped": return `was skipped: ${skippedWords(event.reason)}.`;
    case "node_cancelled": return "was cancelled.";
    case "node_overruled": return `was decided by ${who}, who ${SAID[event.said ?? ""] ?? event.said}${event.reason ? `: “${event.reason}”` : "."}`;
    default: return `${event.kind.replaceAll("_", " ")}.`;
  }
}

/**
 * @param {RunEvent} event
 * @param {string} who
 */
function stoppedWords(event, who) {
  if (event.reason === "cancel" && (event.by || event.explanation)) {
    return `The run is being cancelled${event.by ? ` by ${who}` : ""}${event.explanation ? `: “${event.explanation}”` : "."}`;
  }
  return STOPPED[event.reason ?? ""] ?? `The run is being stopped: ${event.reason ?? "no reason was given"}.`;
}

/** @param {string} text */
const capital = (text) => text[0].toUpperCase() + text.slice(1);
