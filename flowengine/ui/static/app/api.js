// Calls of the public HTTP API, the only thing that this page talks to.
import { signal } from "../vendor/preact.js";

const TIMEOUT_MS = 30_000;

/** Whether the last call reached the API, and when one last did (ms since the epoch). */
export const reached = signal({ ok: true, at: Date.now(), why: "" });

/** True once an answer said that this browser has no session. The frame then shows the sign-in. */
export const signedOut = signal(false);

/**
 * What the API refused: its problem document (RFC 9457). `code` is stable; `unreachable` and `timeout` are ours,
 * for a call that got no answer.
 */
export class Problem extends Error {
  /** @param {{status: number, code: string, title: string, detail?: string, [more: string]: any}} document */
  constructor(document) {
    super(document.detail || document.title);
    this.status = document.status;
    this.code = document.code;
    this.title = document.title;
    this.detail = document.detail || "";
    this.document = document;
  }
}

/**
 * @typedef {object} CallOptions
 * @property {any} [json] the body, sent as JSON
 * @property {string} [text] the body as it is
 * @property {string} [type] the media type of `text`
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {boolean} [raw] the answer as the text that it is, also where it is JSON
 */

/**
 * One call; its answer, as JSON where it is. Raises Problem.
 * @param {string} method
 * @param {string} path with its query
 * @param {CallOptions} [options]
 * @returns {Promise<any>}
 */
export async function call(method, path, options = {}) {
  const answer = await answerOf(method, path, options);
  if (answer.status === 204) return null;
  const text = await answer.text();
  if (!options.raw && (answer.headers.get("content-type") || "").includes("json")) return JSON.parse(text);
  return text;
}

/**
 * @param {string} path
 * @param {CallOptions} [options]
 */
export const get = (path, options) => call("GET", path, options);

/**
 * @param {string} path
 * @param {any} [json]
 * @param {CallOptions} [options]
 */
export const post = (path, json, options) => call("POST", path, { ...options, json });

/**
 * A path with a query, without the values that are empty; an array gives its name several times.
 * @param {string} path
 * @param {Record<string, any>} query
 */
export function withQuery(path, query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") search.append(name, String(each));
    }
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {CallOptions} options
 */
async function answerOf(method, path, options) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", ...options.headers };
  let body = options.text;
  if (options.json !== undefined) {
    body = JSON.stringify(options.json);
    headers["Content-Type"] = "application/json";
  } else if (body !== undefined) {
    headers["Content-Type"] = options.type || "application/json";
  }
  const clock = new AbortController();
  const late = clock.signal;
  const timer = setTimeout(() => clock.abort(), TIMEOUT_MS);
  const until = options.signal ? anyOf(options.signal, late) : late;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body, signal: until, credentials: "same-origin" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw notAnswered(late.aborted);
  } finally {
    clearTimeout(timer);
  }
  reached.value = { ok: true, at: Date.now(), why: "" };
  if (answer.ok || answer.status === 304) return answer;
  throw await refusal(answer);
}

/** @param {boolean} late */
function notAnswered(late) {
  const why = late ? `no answer within ${TIMEOUT_MS / 1000} s` : "it was not reached";
  reached.value = { ok: false, at: reached.value.at, why };
  return new Problem({ status: 0, code: late ? "timeout" : "unreachable", title: late ? `No answer within ${TIMEOUT_MS / 1000} s` : "The API was not reached" });
}

/** @param {Response} answer */
async function refusal(answer) {
  let document = null;
  try { document = await answer.json(); } catch { /* not ours: a proxy's page */ }
  if (!document || typeof document.code !== "string") {
    document = { status: answer.status, code: "unknown", title: `The answer was ${answer.status} ${answer.statusText}` };
  }
  if (answer.status === 401) signedOut.value = true;
  return new Problem(document);
}

/**
 * @param {AbortSignal} one
 * @param {AbortSignal} other
 */
function anyOf(one, other) {
  const both = new AbortController();
  for (const each of [one, other]) {
    if (each.aborted) both.abort(each.reason);
    else each.addEventListener("abort", () => both.abort(each.reason), { once: true });
  }
  return both.signal;
}
