// One run as the page knows it: a snapshot, then events. Each node is a signal of its own, so that a change of
// one redraws one.
import { batch, computed, signal } from "../../vendor/preact.js";
import { get } from "../../app/api.js";
import { exactNow, learnClock } from "../../app/clock.js";
import { watch } from "../../app/live/live.js";
import { changesBy, isConsequence, same } from "./node_changes.js";

/**
 * @typedef {import("./node_changes.js").NodeError} NodeError
 * @typedef {import("./node_changes.js").Node} Node
 * @typedef {import("../../app/live/live.js").LiveEvent} LiveEvent
 */

const OVER = new Set(["completed", "failed", "cancelled"]);
const SNAPSHOT_AFTER_MS = 400;
/** A snapshot of many nodes is large: it is asked for less often. */
const SNAPSHOT_AFTER_MS_A_NODE = 4;
/** No event tells of an item of a map: while one runs, its numbers are asked for. */
const MAP_EVERY_MS = 1500;
const MAP_UNSEEN_EVERY_MS = 15_000;

/** @param {string} id The store of a run. `start` begins to watch it; what it returns stops that. */
export function runStore(id) {
  const path = `/workflows/${encodeURIComponent(id)}`;
  const stream = `${path}/events?from=now`;
  /** The execution without its nodes; null until it is known. */
  const run = signal(/** @type {any} */ (null));
  const problem = signal(/** @type {any} */ (null));
  /** Whether it was deleted while one looked at it. */
  const deleted = signal(false);
  /** The ids of the nodes in the document's order, hooks last. */
  const order = signal(/** @type {string[]} */ ([]));
  /** @type {Map<string, import("../../vendor/preact.js").Signal<Node>>} */
  const nodes = new Map();
  /** What came lately, for those who list events: each call hears each batch. */
  const heard = new Set();
  /** @type {() => void} */
  let stop = () => undefined;
  /** @type {() => void} */
  let stopAll = () => undefined;
  let asked = 0;
  let timer = 0;
  let timerAt = 0;
  let askedAt = 0;
  let running = false;
  let stopped = false;
  /**
   * The events that came while a snapshot was on its way: it may be older than they are.
   * @type {any[] | null}
   */
  let meanwhile = null;
  /** @type {Promise<any> | null} */
  let drawn = null;

  const all = computed(() => order.value.map((each) => nodes.get(each)?.value).filter((node) => node !== undefined));

  const counts = computed(() => {
    /** @type {Record<string, number>} */
    const found = { total: 0 };
    for (const node of all.value) {
      if (!node || node.hook) continue;
      found.total += 1;
      found[node.status] = (found[node.status] || 0) + 1;
    }
    return found;
  });

  /** The nodes that failed themselves, in the document's order: those that are tolerated come last. */
  const failures = computed(() => {
    const own = some(order.value).filter((node) => node.status === "failed" && !isConsequence(node));
    return [...own.filter((node) => !node.tolerated), ...own.filter((node) => node.tolerated)].map((node) => node.id);
  });

  /** @param {string[]} ids Those of these nodes that are known, as they are now. @returns {Node[]} */
  function some(ids) {
    /** @type {Node[]} */
    const found = [];
    for (const each of ids) {
      const node = nodes.get(each);
      if (node) found.push(node.value);
    }
    return found;
  }

  async function snapshot() {
    clearTimeout(timer);
    timer = 0;
    askedAt = performance.now();
    const mine = ++asked;
    meanwhile = [];
    try {
      const view = await get(path);
      if (mine !== asked || stopped) return;
      const later = meanwhile;
      meanwhile = null;
      batch(() => {
        problem.value = null;
        learn(view);
        for (const event of later) apply(event);
      });
      if (!OVER.has(view.status)) follow();
      if (view.nodes.concat(view.hooks ?? []).some((/** @type {Node} */ node) => node.map && node.status === "running")) {
        snapshotSoon(document.hidden ? MAP_UNSEEN_EVERY_MS : MAP_EVERY_MS);
      }
    } catch (error) {
      if (mine !== asked || stopped) return;
      meanwhile = null;
      if (/** @type {any} */ (error).status === 404 && run.value) gone();
      else problem.value = error;
    }
  }

  /** @param {any} view */
  function learn(view) {
    const { nodes: main, hooks = [], ...rest } = view;
    const every = [...main, ...hooks.map((/** @type {Node} */ each) => ({ ...each, hook: true }))];
    for (const node of every) {
      const known = nodes.get(node.id);
      if (!known) nodes.set(node.id, signal(node));
      else if (!same(known.peek(), node)) known.value = { ...node, progress: known.peek().progress };
    }
    const ids = every.map((each) => each.id);
    if (ids.join("\n") !== order.value.join("\n")) order.value = ids;
    run.value = rest;
  }

  /**
   * What events do not tell (errors, times of others, outputs) is asked for, at most this often.
   * @param {number} [least] ms
   */
  function snapshotSoon(least = SNAPSHOT_AFTER_MS) {
    const pause = SNAPSHOT_AFTER_MS + nodes.size * SNAPSHOT_AFTER_MS_A_NODE;
    const due = performance.now() + Math.max(least, askedAt + pause - performance.now());
    if (stopped || (timer && due >= timerAt)) return;
    clearTimeout(timer);
    timerAt = due;
    timer = setTimeout(snapshot, due - performance.now());
  }

  function follow() {
    if (running || stopped) return;
    running = true;
    stop = watch(stream, {
      onFresh: () => {
        snapshotSoon();
        // What was before is not told: those who list events read it.
        for (const each of heard) each([{ id: "", name: "fresh", data: null }]);
      },
      onEvents: take,
      onEnded: () => { running = false; stop(); setTimeout(() => { if (!stopped) snapshot(); }, 300); },
      onRefused: (status) => { running = false; stop(); if (status === 404 && !stopped) snapshot(); },
    });
  }

  /** @param {LiveEvent[]} events */
  function take(events) {
    for (const { name, data } of events) {
      if (name === "event") {
        learnClock(data.at);
        meanwhile?.push(data);
        apply(data);
      } else if (name === "progress") {
        change(data.node, { progress: data });
      }
    }
    for (const each of heard) each(events);
  }

  /** @param {any} event */
  function apply(event) {
    const { kind } = event;
    const node = nodes.get(event.node)?.peek();
    if (node) {
      const changes = changesBy(event, node);
      if (changes) change(node.id, changes);
    }
    if (kind.startsWith("execution_") || kind === "node_failed" || kind === "node_waiting" || kind === "node_iterated" || kind === "node_in_line" || kind === "node_opened") snapshotSoon();
  }

  /**
   * @param {string} id
   * @param {Partial<Node>} changes
   */
  function change(id, changes) {
    const node = nodes.get(id);
    if (node) node.value = { ...node.peek(), ...changes };
  }

  /** Someone else may begin it again, or delete it. */
  function watchAll() {
    stopAll = watch("/events", {
      onFresh: () => { if (run.value && !running) snapshotSoon(); },
      onEvents: (events) => {
        const last = events.filter((each) => each.name === "change" && each.data.execution_id === id).pop();
        if (last?.data.status === "deleted") gone();
        else if (last && (last.data.status !== run.value?.status || !running)) snapshotSoon();
      },
    });
  }

  function gone() {
    deleted.value = true;
    running = false;
    clearTimeout(timer);
    stop();
  }

  /** Where its nodes stand in a picture, which no run changes: asked for once. */
  function drawing() {
    drawn ??= get(`${path}/graph`).catch((error) => { drawn = null; throw error; });
    return drawn;
  }

  function start() {
    stopped = false;
    snapshot();
    watchAll();
    return () => { stopped = true; clearTimeout(timer); timer = 0; running = false; stop(); stopAll(); };
  }

  return {
    id, path, run, problem, deleted, order, nodes, counts, failures, some, start, snapshot, drawing, heard,
    /** One node, as it is now. */
    node: (/** @type {string} */ node) => nodes.get(node)?.value,
    isOver: computed(() => OVER.has(run.value?.status)),
    /** Milliseconds that the run has taken so far. */
    took: () => (run.value?.finished_at ? Date.parse(run.value.finished_at) : exactNow()) - Date.parse(run.value?.started_at ?? ""),
  };
}

/** @typedef {ReturnType<typeof runStore>} RunStore */
