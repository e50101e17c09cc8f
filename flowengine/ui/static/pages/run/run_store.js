// One run as the page knows it: a snapshot, then events. Each node is a signal of its own, so that a change of
// one redraws one.
import { batch, computed, signal } from "../../vendor/preact.js";
import { get } from "../../app/api.js";
import { exactNow } from "../../app/clock.js";
import { watch } from "../../app/live.js";

/**
 * @typedef {object} NodeError
 * @property {string} code
 * @property {string} message
 * @property {string | null} caused_by
 *
 * @typedef {object} Node as `GET /workflows/{id}` gives it
 * @property {string} id
 * @property {string} handler
 * @property {string} status
 * @property {number} attempt
 * @property {string[]} dependencies
 * @property {string | null} queued_at
 * @property {string | null} started_at
 * @property {string | null} finished_at
 * @property {NodeError | null} error
 * @property {string} [skipped]
 * @property {boolean} [tolerated]
 * @property {any} [waiting_for]
 * @property {boolean} [hook] of `on_failure` or `finally`
 * @property {{done: number, total?: number, message?: string}} [progress] as the node last told
 */

const OVER = new Set(["completed", "failed", "cancelled"]);
const SNAPSHOT_AFTER_MS = 400;

/** @param {string} id The store of a run. `start` begins to watch it; what it returns stops that. */
export function runStore(id) {
  const path = `/workflows/${encodeURIComponent(id)}`;
  const stream = `${path}/events?from=now`;
  /** The execution without its nodes; null until it is known. */
  const run = signal(/** @type {any} */ (null));
  const problem = signal(/** @type {any} */ (null));
  /** The ids of the nodes in the document's order, hooks last. */
  const order = signal(/** @type {string[]} */ ([]));
  /** @type {Map<string, import("../../vendor/preact.js").Signal<Node>>} */
  const nodes = new Map();
  /** What came lately, for those who list events: each call hears each batch. */
  const heard = new Set();
  /** @type {() => void} */
  let stop = () => undefined;
  let asked = 0;
  let timer = 0;
  let running = false;

  const counts = computed(() => {
    /** @type {Record<string, number>} */
    const found = { total: 0 };
    for (const each of order.value) {
      const node = nodes.get(each)?.value;
      if (!node || node.hook) continue;
      found.total += 1;
      found[node.status] = (found[node.status] || 0) + 1;
    }
    return found;
  });

  async function snapshot() {
    const mine = ++asked;
    try {
      const view = await get(path);
      if (mine !== asked) return;
      batch(() => {
        problem.value = null;
        const { nodes: main, hooks = [], ...rest } = view;
        const all = [...main, ...hooks.map((/** @type {Node} */ each) => ({ ...each, hook: true }))];
        for (const node of all) {
          const known = nodes.get(node.id);
          if (known) known.value = { ...node, progress: known.value.progress };
          else nodes.set(node.id, signal(node));
        }
        const ids = all.map((each) => each.id);
        if (ids.join("\n") !== order.value.join("\n")) order.value = ids;
        run.value = rest;
      });
      if (!OVER.has(view.status)) follow();
    } catch (error) {
      if (mine === asked) problem.value = error;
    }
  }

  /** What events do not tell (errors, times of others, outputs) is asked for, at most this often. */
  function snapshotSoon() {
    clearTimeout(timer);
    timer = setTimeout(snapshot, SNAPSHOT_AFTER_MS);
  }

  function follow() {
    if (running) return;
    running = true;
    stop = watch(stream, {
      onFresh: snapshotSoon,
      onEvents: take,
      onEnded: () => { running = false; stop(); setTimeout(snapshot, 300); },
      onRefused: (status) => { running = false; stop(); if (status === 404) snapshot(); },
    });
  }

  /** @param {import("../../app/live.js").LiveEvent[]} events */
  function take(events) {
    for (const { name, data } of events) {
      if (name === "event") apply(data);
      else if (name === "progress") change(data.node, { progress: data });
    }
    for (const each of heard) each(events);
  }

  /** @param {any} event */
  function apply(event) {
    const { kind, node, attempt, at } = event;
    if (kind === "node_queued") change(node, { status: "queued", attempt, queued_at: at, started_at: null, finished_at: null, error: null, progress: undefined });
    else if (kind === "node_started") began(node, attempt, at);
    else if (kind === "node_completed") change(node, { status: "completed", attempt, finished_at: at, error: null });
    else if (kind === "node_failed") change(node, { status: "failed", attempt, finished_at: at, error: nodes.get(node)?.peek().error ?? { code: event.code, message: event.code, caused_by: null } });
    else if (kind === "node_skipped") change(node, { status: "skipped", finished_at: at, skipped: event.reason });
    else if (kind === "node_waiting") change(node, { status: "waiting", attempt });
    else if (kind === "node_cancelled") change(node, { status: "cancelled", finished_at: at });
    else if (kind === "node_reset") change(node, { status: "pending", queued_at: null, started_at: null, finished_at: null, error: null });
    if (kind.startsWith("execution_") || kind === "node_failed" || kind === "node_waiting") snapshotSoon();
  }

  /**
   * A worker tells of a start beside any transaction: it may come late, after the node's end.
   * @param {string} id
   * @param {number} attempt
   * @param {string} at
   */
  function began(id, attempt, at) {
    const node = nodes.get(id)?.peek();
    if (!node || node.attempt !== attempt) return;
    if (node.status === "queued") change(id, { status: "running", started_at: at });
    else if (!node.started_at) change(id, { started_at: at });
  }

  /**
   * @param {string} id
   * @param {Partial<Node>} changes
   */
  function change(id, changes) {
    const node = nodes.get(id);
    if (node) node.value = { ...node.peek(), ...changes };
  }

  function start() {
    snapshot();
    return () => { clearTimeout(timer); asked += 1; running = false; stop(); };
  }

  return {
    id, path, run, problem, order, nodes, counts, start, snapshot, heard,
    /** One node, as it is now. */
    node: (/** @type {string} */ node) => nodes.get(node)?.value,
    isOver: computed(() => OVER.has(run.value?.status)),
    /** Milliseconds that the run has taken so far. */
    took: () => (run.value?.finished_at ? Date.parse(run.value.finished_at) : exactNow()) - Date.parse(run.value?.started_at ?? ""),
  };
}

/** @typedef {ReturnType<typeof runStore>} RunStore */
