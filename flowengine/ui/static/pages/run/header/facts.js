// The facts of a run, each with its name.
import { html } from "../../../vendor/preact.js";
import { now } from "../../../app/clock.js";
import { at, cutMiddle, duration } from "../../../app/format.js";
import { compareAddress, runAddress } from "../../../app/router.js";
import { CopyButton } from "../../../parts/copy_button.js";
import { Ago } from "../../../parts/moment.js";
import { ShortId, ShortText } from "../../../parts/short_text.js";
import { definitionAddress } from "../../definitions/addresses.js";
import { ask } from "../dialogs/asked.js";

const MOST_LABELS = 6;
const MOST_FOLLOWERS = 6;
const WAITED_FROM_MS = 60_000;

/** @param {{store: import("../run_store.js").RunStore}} props */
export function Facts({ store }) {
  const run = store.run.value;
  const labels = Object.entries(run.labels ?? {});
  return html`<dl class="facts">
    ${run.started_at ? fact("Started", html`<${Ago} at=${run.started_at} />`) : fact("Created", html`<${Ago} at=${run.created_at} />`)}
    ${run.started_at && fact(store.isOver.value ? "Took" : "Takes", tookOf(store))}
    ${run.waiting_for?.kind === "turn" && fact("Turn", html`<button class="b bare tiny-b" type="button" onClick=${() => ask({ what: "turn" })}>who is before it</button>`)}
    ${run.run > 1 && fact("Run", html`${run.run} <button class="b bare tiny-b" type="button" onClick=${() => ask({ what: "runs" })}>earlier runs</button>`)}
    ${run.version && fact("Definition", html`<a href=${definitionAddress(run.name, { version: run.version })}>version ${run.version}</a>`)}
    ${run.rerun_of && fact("Rerun of", html`<a href=${runAddress(run.rerun_of.execution_id)}><${ShortId} id=${run.rerun_of.execution_id} /></a>
      <a class="tiny-b" href=${compareAddress(run.rerun_of.execution_id, run.execution_id)}>compare</a>`)}
    ${run.reruns?.count > 0 && fact("Reruns", html`${run.reruns.count} <button class="b bare tiny-b" type="button" onClick=${() => ask({ what: "reruns" })}>list them</button>`)}
    ${run.trigger && fact("Trigger", triggerOf(run.trigger))}
    ${run.followers?.length > 0 && fact("Followed by", html`<${Followers} followers=${run.followers} />`)}
    ${run.parent && fact("Stands for", html`<a href=${runAddress(run.parent.execution_id, { node: run.parent.node })}><bdi><${ShortText} text=${run.parent.node} most=${32} /></bdi></a>`)}
    ${run.parent && run.parent.root !== run.parent.execution_id && fact("At the top", html`<a href=${runAddress(run.parent.root)}><${ShortId} id=${run.parent.root} /></a>`)}
    ${run.children?.count > 0 && fact("Children", html`${run.children.count} <button class="b bare tiny-b" type="button" onClick=${() => ask({ what: "children" })}>list them</button>`)}
    ${fact("Correlation", html`<${ShortId} id=${run.correlation_id} /><${CopyButton} text=${run.correlation_id} what="the correlation id" />`, "hide-s")}
    ${labels.length > 0 && fact("Labels", html`${labels.slice(0, MOST_LABELS).map(([name, value]) => html`<a class="tag" key=${name}
      href=${`/ui/runs?${new URLSearchParams({ label: `${name}:${value}` })}`} title=${`Runs with ${name}:${value}`}><bdi>${cutMiddle(`${name}=${value}`, 32)}</bdi></a> `)}${
      labels.length > MOST_LABELS ? html`<span title=${labels.map((each) => each.join("=")).join(", ")}>and ${labels.length - MOST_LABELS} more</span>` : ""}`)}</dl>`;
}

/** @param {string} name @param {any} value @param {string} [is] */
const fact = (name, value, is = "") => html`<div class=${is}><dt>${name}</dt><dd>${value}</dd></div>`;

/** @param {any} trigger */
function triggerOf(trigger) {
  if (typeof trigger === "string") return trigger;
  if (trigger.kind === "rerun") return "a rerun";
  if (trigger.kind === "after") {
    const words = html`<bdi><${ShortText} text=${trigger.workflow} most=${32} /></bdi>`;
    return html`after ${trigger.execution_id ? html`<a href=${runAddress(trigger.execution_id)} title=${`The run that has ended as ${trigger.status}`}>${words}</a>` : words}`;
  }
  if (trigger.kind === "workflow") return html`a node of <a href=${runAddress(trigger.execution_id)}><${ShortId} id=${trigger.execution_id} /></a>`;
  if (trigger.kind === "api") return "API";
  return trigger.schedule ? `schedule ${cutMiddle(trigger.schedule, 32)}` : trigger.kind;
}

/**
 * What the end of the run has started; of what could not start, why.
 * @param {{followers: {name: string, execution_id: string | null, code: string | null, message: string | null}[]}} props
 */
function Followers({ followers }) {
  const shown = followers.slice(0, MOST_FOLLOWERS).map((each) => {
    const name = html`<bdi><${ShortText} text=${each.name} most=${32} /></bdi>`;
    return each.execution_id
      ? html`<a key=${each.name} href=${runAddress(each.execution_id)}>${name}</a> `
      : html`<span key=${each.name} title=${each.message ?? ""}>${name} (not started: ${each.code})</span> `;
  });
  const left = followers.slice(MOST_FOLLOWERS);
  return html`${shown}${left.length > 0 && html`<span title=${left.map((each) => each.name).join(", ")}>and ${left.length} more</span>`}`;
}

/**
 * How long it has taken; of that, how long nothing ran, where that is known and long.
 * @param {import("../run_store.js").RunStore} store
 */
function tookOf(store) {
  const run = store.run.value;
  const end = store.isOver.value ? at(run.finished_at) : now.value;
  const whole = end - at(run.started_at);
  const nodes = store.some(store.order.value);
  const isKnown = run.run === 1 && nodes.every((node) => node.attempt <= 1);
  const idle = isKnown ? whole - workedMs(nodes, end) : 0;
  return idle >= WAITED_FROM_MS ? html`<span title="How long at least one node ran, and how long none did">${duration(whole)}, of it ${duration(idle)} waited</span>` : duration(whole);
}

/**
 * @param {import("../run_store.js").Node[]} nodes
 * @param {number} end
 */
function workedMs(nodes, end) {
  const spans = nodes.filter((node) => node.started_at).map((node) => [at(node.started_at), node.finished_at ? at(node.finished_at) : end])
    .sort((one, other) => one[0] - other[0]);
  let worked = 0;
  let until = 0;
  for (const [from, to] of spans) {
    worked += Math.max(0, to - Math.max(from, until));
    until = Math.max(until, to);
  }
  return worked;
}
