// What is being written: the document, its inputs and labels, and what the server says of them.
import { computed, signal } from "../../vendor/preact.js";
import { post } from "../../app/api.js";
import { rawOf, readValues } from "../../parts/form/schema_values.js";
import { readLabels } from "../../parts/form/labels.js";

const KEPT_AS = "flowengine.new";
const WAIT_MS = 250;
const WAIT_LARGE_MS = 700;
const LARGE_CHARS = 100_000;

/**
 * @typedef {{code: string, pointer: string, message: string, line?: number, column?: number}} Found
 * @typedef {{id: string, pointer: string, line: number, column: number}} NodePlace
 * @typedef {object} Answer of POST /validate
 * @property {boolean} valid
 * @property {Found[]} problems
 * @property {Found[]} warnings
 * @property {Record<string, any> | null} input_schema
 * @property {any} graph
 * @property {NodePlace[]} nodes
 */

/** The text of the document. */
export const text = signal("");
/** What is in the fields of the inputs, by name, as it was typed. */
export const values = signal(/** @type {Record<string, string>} */ ({}));
/** What is in the field of the labels. */
export const labels = signal("");
/** The last answer about a text; null before the first. */
export const answer = signal(/** @type {Answer | null} */ (null));
/** Whether `answer` is about what is written now. */
export const isCurrent = signal(false);
/** Why the last check was not answered. */
export const unanswered = signal(/** @type {any} */ (null));
/** The schema of the inputs, as it was last known. */
export const schema = signal(/** @type {Record<string, any> | null} */ (null));
/** A text that another one has replaced, so that it can be brought back. */
export const replaced = signal("");

/** The values as JSON, and what is wrong with those that are none. */
export const given = computed(() => readValues(schema.value, values.value));
export const givenLabels = computed(() => readLabels(labels.value));

let timer = 0;
let running = new AbortController();
/** @type {Record<string, any> | null} */
let prefill = null;

/** @param {string} next what is written now */
export function write(next) {
  text.value = next;
  check();
}

/**
 * Put another document in the place of what is written.
 * @param {string} next
 * @param {Record<string, any>} [inputs] what its inputs shall be
 */
export function replace(next, inputs = {}) {
  if (text.value.trim() && text.value !== next) replaced.value = text.value;
  values.value = {};
  labels.value = "";
  schema.value = null;
  answer.value = null;
  prefill = inputs;
  text.value = next;
  check(0);
}

/** Ask what the server says, once nobody has typed for a moment. */
export function check(wait = text.value.length > LARGE_CHARS ? WAIT_LARGE_MS : WAIT_MS) {
  isCurrent.value = false;
  clearTimeout(timer);
  running.abort();
  timer = setTimeout(ask, wait);
}

/** What is sent to be checked, and to be started. */
export function envelope() {
  return { workflow: text.value, inputs: given.value.value, labels: givenLabels.value.labels };
}

async function ask() {
  keep();
  unanswered.value = null;
  if (!text.value.trim()) {
    answer.value = null;
    schema.value = null;
    return;
  }
  running = new AbortController();
  const { signal: stopped } = running;
  try {
    const found = await post("/validate", envelope(), { signal: stopped });
    if (!stopped.aborted) take(found);
  } catch (error) {
    if (!stopped.aborted) unanswered.value = error;
  }
}

/** @param {Answer} found */
function take(found) {
  answer.value = found;
  isCurrent.value = true;
  if (!found.input_schema) return;
  schema.value = found.input_schema;
  if (!prefill) return;
  const before = prefill;
  prefill = null;
  if (!Object.keys(before).length) return;
  values.value = rawOf(found.input_schema, before);
  check(0);
}

/** Keep what is written as long as the tab is open, but for secrets. */
export function keep() {
  const secret = Object.entries(schema.value?.properties ?? {}).filter(([, one]) => one?.writeOnly).map(([name]) => name);
  const open = Object.fromEntries(Object.entries(values.value).filter(([name]) => !secret.includes(name)));
  try {
    sessionStorage.setItem(KEPT_AS, JSON.stringify({ text: text.value, values: open, labels: labels.value }));
  } catch { /* storage is full or closed: what is written is on the page still */ }
}

/** Take up what was kept. */
export function takeUp() {
  if (text.value) return;
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT_AS) ?? "{}");
    text.value = String(kept.text ?? "");
    values.value = kept.values ?? {};
    labels.value = String(kept.labels ?? "");
  } catch { /* nothing is kept */ }
  if (text.value) check(0);
}
