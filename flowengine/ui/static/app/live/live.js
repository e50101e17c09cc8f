// What happens, as it happens: the events of one stream, collected for a tenth of a second. More often than that
// nobody sees it, but the browser draws it.
import { batch, computed, effect, signal } from "../../vendor/preact.js";
import { receive } from "./live_worker.js";
import { reached, signedOut } from "../api.js";

/**
 * @typedef {{id: string, name: string, data: any}} LiveEvent
 * @typedef {object} Watcher
 * @property {(events: LiveEvent[]) => void} onEvents called at most ten times a second, with what came since, in order
 * @property {() => void} [onFresh] events come from now on: ask for a snapshot, what was before is not told
 * @property {(status: number) => void} [onRefused]
 * @property {() => void} [onEnded]
 */

const APART_MS = 100;
/** @type {Map<string, {watchers: Set<Watcher>, waiting: LiveEvent[], flushed: number}>} */
const watched = new Map();
/** The state of each stream that is watched. */
const states = signal(/** @type {Record<string, string>} */ ({}));

/** "live", "reconnecting" or "off" (nothing is watched). */
export const streamState = computed(() => {
  const all = Object.values(states.value);
  if (all.includes("lost")) return "reconnecting";
  return all.includes("open") ? "live" : "off";
});

/**
 * Watch a stream of the API.
 * @param {string} url such as "/events"
 * @param {Watcher} watcher
 * @returns {() => void} stops it
 */
export function watch(url, watcher) {
  const found = watched.get(url) || { watchers: new Set(), waiting: [], flushed: 0 };
  watched.set(url, found);
  found.watchers.add(watcher);
  tell({ watch: url });
  return () => {
    found.watchers.delete(watcher);
    if (found.watchers.size) return;
    watched.delete(url);
    const { [url]: _, ...others } = states.value;
    states.value = others;
    tell({ leave: url });
  };
}

/** @param {any} message what the worker tells */
function heard(message) {
  const found = watched.get(message.url);
  if (!found) return;
  if (message.events) {
    if (!found.waiting.length) setTimeout(() => nextFrame(() => flush(found)), Math.max(0, found.flushed + APART_MS - performance.now()));
    found.waiting.push(...message.events);
    if (message.events.some((/** @type {LiveEvent} */ event) => event.name === "cut")) fresh(found);
    return;
  }
  states.value = { ...states.value, [message.url]: message.state };
  if (message.state === "open" && message.fresh) fresh(found);
  if (message.state === "refused" && message.status === 401) signedOut.value = true;
  if (message.state === "refused") for (const each of found.watchers) each.onRefused?.(message.status);
  if (message.state === "ended") nextFrame(() => { flush(found); for (const each of found.watchers) each.onEnded?.(); });
}

/** @param {{watchers: Set<Watcher>}} found */
function fresh(found) {
  for (const each of found.watchers) each.onFresh?.();
}

/** @param {{watchers: Set<Watcher>, waiting: LiveEvent[], flushed: number}} found */
function flush(found) {
  const events = found.waiting;
  if (!events.length) return;
  found.waiting = [];
  found.flushed = performance.now();
  batch(() => { for (const each of found.watchers) each.onEvents(events); });
}

/**
 * A hidden tab has no frames.
 * @param {() => void} todo
 */
function nextFrame(todo) {
  if (document.hidden) setTimeout(todo, 200);
  else requestAnimationFrame(todo);
}

const isReached = computed(() => reached.value.ok);
const tell = connected();
// An answer has come again: streams that were cut need not sit out their pause.
effect(() => { if (isReached.value) tell({ visible: !document.hidden }); });

/**
 * A worker that all tabs share; where there is none, this tab alone.
 * @returns {(message: any) => void}
 */
function connected() {
  /** @type {(message: any) => void} */
  let send;
  if (typeof SharedWorker === "undefined") {
    const port = { postMessage: heard };
    send = (message) => receive(port, message);
  } else {
    const worker = new SharedWorker(new URL("./live_worker.js", import.meta.url), { type: "module", name: "flowengine" });
    worker.port.onmessage = (event) => heard(event.data);
    worker.port.start();
    send = (message) => worker.port.postMessage(message);
  }
  send({ visible: !document.hidden });
  document.addEventListener("visibilitychange", () => send({ visible: !document.hidden }));
  addEventListener("pagehide", () => send({ gone: true }));
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    send({ visible: true });
    for (const url of watched.keys()) send({ watch: url });
  });
  return send;
}
