// Holds the event streams of all tabs of this browser: one stream for each thing that is watched, however many
// tabs watch it. A stream goes on behind the last event that it got, and is closed while all tabs are hidden.

const HIDDEN_FOR_MS = 30_000;
const LONGEST_PAUSE_MS = 15_000;
const SILENT_FOR_MS = 40_000; // the API sends a comment every 15 s

/** @typedef {{postMessage: (message: any) => void}} Port */

class Stream {
  /** @param {string} url */
  constructor(url) {
    this.url = url;
    /** @type {Set<Port>} */
    this.ports = new Set();
    this.lastId = "";
    this.state = "connecting";
    this.failures = 0;
    /** @type {AbortController | null} */
    this.connection = null;
    this.timer = 0;
  }

  open() {
    if (this.connection || this.state === "ended" || this.state === "refused") return;
    clearTimeout(this.timer);
    this.connection = new AbortController();
    this.read(this.connection).catch(() => undefined);
  }

  close() {
    clearTimeout(this.timer);
    this.connection?.abort();
    this.connection = null;
  }

  /** @param {any} message */
  tell(message) {
    for (const port of this.ports) port.postMessage({ url: this.url, ...message });
  }

  /** @param {string} state @param {any} [more] */
  become(state, more) {
    this.state = state;
    this.tell({ state, ...more });
  }

  /** @param {AbortController} connection */
  async read(connection) {
    const headers = /** @type {Record<string, string>} */ ({ Accept: "text/event-stream" });
    if (this.lastId) headers["Last-Event-ID"] = this.lastId;
    let status = 0;
    let clean = false;
    let watchdog = 0;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => connection.abort(), SILENT_FOR_MS);
    };
    try {
      alive();
      const answer = await fetch(this.url, { headers, signal: connection.signal, credentials: "same-origin" });
      status = answer.status;
      if (answer.ok && answer.body) {
        // Without a place to go on from, what happened meanwhile is not known: the tabs ask anew.
        this.become("open", { fresh: !this.lastId });
        this.failures = 0;
        await this.follow(answer.body.getReader(), alive);
        clean = true;
      }
    } catch { /* cut: tried again below */ }
    clearTimeout(watchdog);
    if (this.connection !== connection) return;
    this.connection = null;
    if ([400, 401, 403, 404, 422].includes(status)) return this.become("refused", { status });
    // The API closes the stream of an execution that has ended. A server that stops does so as well: the tab
    // asks for the execution, and watches again if it goes on.
    if (clean && this.url.startsWith("/workflows/")) return this.become("ended");
    this.failures += 1;
    this.become("lost");
    const pause = Math.min(LONGEST_PAUSE_MS, 500 * 2 ** Math.min(this.failures, 6)) * (0.75 + Math.random() / 2);
    this.timer = setTimeout(() => this.open(), pause);
  }

  /** @param {ReadableStreamDefaultReader<Uint8Array>} reader @param {() => void} alive */
  async follow(reader, alive) {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      text += decoder.decode(value, { stream: true });
      const end = text.lastIndexOf("\n\n");
      if (end < 0) continue;
      const events = text.slice(0, end).split("\n\n").map(eventOf).filter(Boolean);
      text = text.slice(end + 2);
      if (events.length) this.take(events);
    }
  }

  /** @param {any[]} events */
  take(events) {
    for (const event of events) if (event.id) this.lastId = event.id;
    this.tell({ events });
  }
}

/** @param {string} text */
function eventOf(text) {
  let id = "", name = "message", data = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("id: ")) id = line.slice(4);
    else if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (!data) return null;
  try { return { id, name, data: JSON.parse(data) }; } catch { return null; }
}

/**
 * All streams, by what they watch.
 * @type {Map<string, Stream>}
 */
const streams = new Map();
/**
 * Whether each tab is seen.
 * @type {Map<Port, boolean>}
 */
const tabs = new Map();
let hiddenTimer = 0;

/**
 * @param {Port} port
 * @param {any} message
 */
export function receive(port, message) {
  if (message.watch) watch(port, message.watch);
  else if (message.leave) leave(port, message.leave);
  else if (message.gone) {
    for (const url of [...streams.keys()]) leave(port, url);
    tabs.delete(port);
  } else if ("visible" in message) {
    tabs.set(port, message.visible);
  }
  sleepOrWake();
}

/**
 * @param {Port} port
 * @param {string} url
 */
function watch(port, url) {
  let stream = streams.get(url);
  if (!stream || stream.state === "ended" || stream.state === "refused") {
    const ports = stream?.ports;
    stream = new Stream(url);
    if (ports) for (const each of ports) stream.ports.add(each);
    streams.set(url, stream);
  }
  stream.ports.add(port);
  if (stream.state === "open") port.postMessage({ url, state: "open", fresh: true });
  else stream.open();
}

/**
 * @param {Port} port
 * @param {string} url
 */
function leave(port, url) {
  const stream = streams.get(url);
  stream?.ports.delete(port);
  if (stream && !stream.ports.size) {
    stream.close();
    streams.delete(url);
  }
}

function sleepOrWake() {
  clearTimeout(hiddenTimer);
  if ([...tabs.values()].some(Boolean)) {
    for (const stream of streams.values()) stream.open();
  } else {
    hiddenTimer = setTimeout(() => { for (const stream of streams.values()) stream.close(); }, HIDDEN_FOR_MS);
  }
}

if ("SharedWorkerGlobalScope" in globalThis) {
  globalThis.addEventListener("connect", (/** @type {any} */ event) => {
    const port = event.ports[0];
    port.onmessage = (/** @type {MessageEvent} */ each) => receive(port, each.data);
    port.start();
  });
}
