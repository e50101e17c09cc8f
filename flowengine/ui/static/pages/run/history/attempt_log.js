// The attempts of all nodes, made of the events of a run: what each node did when. Pure.

/**
 * @typedef {"queued" | "run" | "backoff" | "wait" | "moment"} SpanKind
 * @typedef {object} Span one piece of a node's time, in ms since the epoch
 * @property {SpanKind} kind
 * @property {number} attempt
 * @property {number} from
 * @property {number | null} to null: it goes on
 * @property {string} [outcome] of a run or a moment: completed, failed, retried, cancelled, skipped, returned
 * @property {string} [code] of the error
 * @property {string} [reason] why it was skipped
 * @property {boolean} [guessed] no worker has told when it began
 *
 * @typedef {{run: number, at: number}} RunMark
 */

const OUTCOMES = /** @type {Record<string, string>} */ ({
  node_completed: "completed", node_failed: "failed", node_waiting: "retried", node_iterated: "completed", node_cancelled: "cancelled",
  node_skipped: "skipped", node_returned: "returned",
});

/** The log of a run. `take` adds an event; they come in their order, but a start may come late. */
export function attemptLog() {
  /** @type {Map<string, Span[]>} */
  const nodes = new Map();
  /** @type {RunMark[]} */
  const runs = [];

  /** @param {import("./run_events.js").RunEvent} event */
  function take(event) {
    const at = Date.parse(event.at);
    if (event.kind === "execution_started") runs.push({ run: event.run ?? 1, at });
    if (!event.node) return;
    let spans = nodes.get(event.node);
    if (!spans) nodes.set(event.node, spans = []);
    const attempt = event.attempt ?? 0;
    if (event.kind === "node_queued") {
      close(spans, at);
      spans.push({ kind: "queued", attempt, from: at, to: null });
    } else if (event.kind === "node_opened") {
      close(spans, at);
      spans.push({ kind: "run", attempt, from: at, to: null });
    } else if (event.kind === "node_started") {
      started(spans, attempt, at);
    } else if (event.kind in OUTCOMES) {
      ended(spans, event, at);
    }
  }

  return { nodes, runs, take };
}

/** @typedef {ReturnType<typeof attemptLog>} AttemptLog */

/**
 * @param {Span[]} spans
 * @param {number} at
 */
function close(spans, at) {
  const open = spans.at(-1);
  if (open && open.to === null) open.to = Math.max(at, open.from);
  return open;
}

/**
 * @param {Span[]} spans
 * @param {number} attempt
 * @param {number} at
 */
function started(spans, attempt, at) {
  const open = spans.at(-1);
  if (open?.to === null && open.kind === "queued" && open.attempt === attempt) {
    close(spans, at);
    spans.push({ kind: "run", attempt, from: Math.max(at, open.from), to: null });
    return;
  }
  // Told after its end: the run that was guessed begins here.
  const index = spans.findIndex((each) => each.guessed && each.attempt === attempt);
  const queued = spans[index - 1];
  if (index < 0 || queued?.kind !== "queued") return;
  const run = spans[index];
  run.from = queued.to = Math.min(Math.max(at, queued.from), run.to ?? at);
  delete run.guessed;
}

/**
 * @param {Span[]} spans
 * @param {import("./run_events.js").RunEvent} event
 * @param {number} at
 */
function ended(spans, event, at) {
  const outcome = OUTCOMES[event.kind];
  const attempt = event.attempt ?? 0;
  const about = { outcome, ...(event.code && { code: event.code }), ...(event.reason && { reason: event.reason }) };
  // A worker asks for `when`: that is no run.
  if (outcome === "skipped" && event.reason !== "operator") {
    while (spans.at(-1)?.attempt === attempt && attempt > 0) spans.pop();
  }
  const open = spans.at(-1);
  if (open?.to === null) {
    close(spans, at);
    if (open.kind === "run") Object.assign(open, about);
    else if (open.kind === "queued" && outcome !== "skipped" && outcome !== "cancelled" && outcome !== "returned") {
      spans.push({ kind: "run", attempt, from: at, to: at, guessed: true, ...about });
    } else if (outcome !== "completed" && outcome !== "returned") spans.push({ kind: "moment", attempt, from: at, to: at, ...about });
  } else if (outcome !== "returned" && outcome !== "retried") {
    spans.push({ kind: "moment", attempt, from: at, to: at, ...about });
  }
  if (outcome === "retried") spans.push({ kind: event.code ? "backoff" : "wait", attempt, from: at, to: null });
  else if (outcome === "returned") spans.push({ kind: "queued", attempt, from: at, to: null });
}

/**
 * The spans of a node of which no events are kept: as its state tells them.
 * @param {import("../run_store.js").Node} node
 * @returns {Span[]}
 */
export function spansOfState(node) {
  const [queued, began, end] = [node.queued_at, node.started_at, node.finished_at].map((each) => (each ? Date.parse(each) : null));
  const { attempt } = node;
  if (queued === null) {
    return end === null ? [] : [{ kind: "moment", attempt, from: end, to: end, outcome: node.status, code: node.error?.code, reason: node.skipped }];
  }
  const ran = began ?? end;
  /** @type {Span[]} */
  const spans = [{ kind: "queued", attempt, from: queued, to: ran }];
  if (ran !== null) spans.push({ kind: "run", attempt, from: ran, to: end, outcome: end === null ? undefined : node.status, code: node.error?.code });
  return spans;
}
