// The queues: how many messages wait, since when, and who takes them.
import { html } from "../../vendor/preact.js";
import { counted, duration, number } from "../../app/format.js";
import { Icon } from "../../parts/icon.js";
import { numeric, Rows } from "../../parts/asking/rows.js";

/**
 * @typedef {{handler: string, length: number, in_flight: number, oldest_age_s: number | null, known: boolean}} Line
 * @typedef {{queue: string, length: number, in_flight: number, oldest_age_s: number | null, consumers: number,
 *   dead_letters: number, put_off: number, handlers: Line[]}} Queue
 * @param {{queues: import("../../parts/asking/polled.js").Polled<{items: Queue[]}>}} props
 */
export function Queues({ queues }) {
  const items = queues.told?.items ?? [];
  return html`<${Rows} name="Queues" polled=${queues} count=${items.length} empty="No queue is known yet: a worker or a workflow names the first one."
      heads=${["Queue", numeric("Waiting"), numeric("In work"), numeric("Oldest that waits"), numeric("Served by"), numeric("Dead letters"), "What that means"]}
      foot=${html`<p class="foot">In work: messages that a process has taken and not finished. Oldest that waits: of those that no live process works on.</p>`}>
    ${items.map((queue) => html`<${QueueRow} key=${queue.queue} queue=${queue} />
      ${queue.handlers.map((line) => html`<${LineRow} key=${`${queue.queue} ${line.handler}`} line=${line} />`)}`)}</${Rows}>`;
}

/** @param {{queue: Queue}} props */
function QueueRow({ queue }) {
  const unserved = queue.consumers === 0;
  return html`<tr class=${unserved && queue.length ? "is-failed" : ""}><th scope="row" class="name"><bdi>${queue.queue}</bdi></th>
    <td class="num">${number(waiting(queue))}</td><td class="num">${number(queue.in_flight)}</td><td class="num">${age(queue.oldest_age_s)}</td>
    <td class="num">${unserved ? html`<span class="status is-failed"><${Icon} name="failed" />nobody</span>` : counted(queue.consumers, "process", "processes")}</td>
    <td class="num">${number(queue.dead_letters)}</td>
    <td class="quiet">${meaning(queue)}</td></tr>`;
}

/** @param {{line: Line}} props */
function LineRow({ line }) {
  return html`<tr><th scope="row" class="beside"><span class="faint">beside it: </span><bdi>${line.handler}</bdi></th>
    <td class="num">${number(waiting(line))}</td><td class="num">${number(line.in_flight)}</td><td class="num">${age(line.oldest_age_s)}</td>
    <td class="num">${line.known ? "known" : html`<span class="status is-failed"><${Icon} name="failed" />nobody</span>`}</td><td></td>
    <td class="quiet">${line.known ? "tasks that waited for a worker that knows this handler; one is there now"
      : html`no live worker knows the handler: start one that has it installed, or cancel what waits`}</td></tr>`;
}

/** @param {Queue} queue */
function meaning(queue) {
  if (queue.consumers === 0 && queue.queue === "orchestrator") {
    return html`nobody decides what runs next: every run stands still. Start <code>flowengine orchestrator</code>`;
  }
  if (queue.consumers === 0) {
    return html`nodes of this queue wait until a process serves it: <code>flowengine worker --queues ${queue.queue}</code>`;
  }
  if (queue.put_off) return `${counted(queue.put_off, "message")} of a newer version ${queue.put_off === 1 ? "waits" : "wait"} for a process that understands it`;
  if ((queue.oldest_age_s ?? 0) > 60) return "more comes in than is done: more workers, or more threads, would help";
  return queue.length ? "being worked on" : "nothing to do";
}

/** @param {{length: number, in_flight: number}} queue How many of its messages nobody has taken. */
const waiting = ({ length, in_flight: taken }) => Math.max(0, length - taken);

/** @param {number | null} seconds */
const age = (seconds) => seconds === null ? "–" : duration(seconds * 1000);
