// What happened in a run, in sentences, as it happens.
import { html, useLayoutEffect, useRef, useState } from "../../../vendor/preact.js";
import { exact, number } from "../../../app/format.js";
import { Icon } from "../../../parts/icon.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { shownText } from "../../../parts/shown_text.js";
import { lookOf } from "../../../parts/status.js";
import { placed, useRowsInSight } from "../../../parts/virtual_rows.js";
import { eventsOf } from "../history/run_events.js";
import { select, selected } from "../selection.js";
import { eventWords, GROUPS, isOfKind, lookOfEvent } from "../words/event_words.js";

const ROW = 28;

/**
 * @typedef {import("../history/run_events.js").RunEvent} RunEvent
 * @param {{store: import("../run_store.js").RunStore}} props
 */
export function Events({ store }) {
  const feed = eventsOf(store);
  const [kind, setKind] = useState("");
  const [text, setText] = useState("");
  const [newestFirst, setNewestFirst] = useState(true);
  feed.changed.value;
  const wanted = text.trim().toLowerCase();
  const rows = feed.items.filter((event) => (!kind || isOfKind(event, kind))
    && (!wanted || (event.node ?? "").toLowerCase().includes(wanted) || eventWords(event).toLowerCase().includes(wanted)));
  if (newestFirst) rows.reverse();
  const { box, first, last } = useRowsInSight(rows.length, ROW);
  useStay(box, newestFirst ? rows.length : 0);
  const present = [...new Set(feed.items.map((event) => event.kind))].sort();
  const filtered = rows.length < feed.items.length;
  return html`<section class="tab" aria-label="Events">
    <div class="time-bar">
      <label class="line"><span class="unseen">Kind of event</span><select class="in" value=${kind} onChange=${(/** @type {any} */ event) => setKind(event.target.value)}>
        <option value="">All events</option>${GROUPS.map(({ key, name }) => html`<option key=${key} value=${key}>${name}</option>`)}
        <optgroup label="One kind">${present.map((each) => html`<option key=${each} value=${each}>${each.replaceAll("_", " ")}</option>`)}</optgroup></select></label>
      <label class="line"><span class="unseen">Filter the events</span><input class="in filter" type="search" value=${text} placeholder="Node, key or words"
        onInput=${(/** @type {any} */ event) => setText(event.target.value)} /></label>
      <span class="joined" role="group" aria-label="Order of the events"><button class="b" type="button" aria-pressed=${newestFirst} onClick=${() => setNewestFirst(true)}>Newest first</button>
        <button class="b" type="button" aria-pressed=${!newestFirst} onClick=${() => setNewestFirst(false)}>Oldest first</button></span>
      <span class="quiet">${filtered ? `${number(rows.length)} of ${number(feed.items.length)} events` : `${number(rows.length)} events`}${feed.state.value === "reading" ? ", reading on" : ""}</span>
      ${filtered && html`<button class="b bare" type="button" onClick=${() => { setKind(""); setText(""); }}>Show all</button>`}</div>
    <${ProblemNote} problem=${feed.problem.value} what="The events of this run" again=${feed.read} />
    ${feed.cut.value && html`<p class="tab-note"><${Icon} name="warn" /> The oldest events are not kept: the list begins later than the run.</p>`}
    ${feed.state.value === "stopped" && !feed.problem.value && html`<p class="tab-note">There are more. <button class="b" type="button" onClick=${feed.read}>Read on</button></p>`}
    <div class="rows" ref=${box} tabindex="0" role="region" aria-label="The events, in their order"><ol class="events" ref=${placed({ height: rows.length * ROW })}>
      ${rows.slice(first, last).map((event, index) => html`<${EventRow} key=${event.id} event=${event} top=${(first + index) * ROW} isSelected=${selected.value === event.node} />`)}</ol>
      ${!rows.length && feed.state.value === "whole" && html`<p class="tab-note">${feed.items.length ? "No event matches the filter." : "Nothing has happened yet: this run was not triggered."}</p>`}</div></section>`;
}

/** @param {{event: RunEvent, top: number, isSelected: boolean}} props */
function EventRow({ event, top, isSelected }) {
  const icon = lookOfEvent(event);
  const look = icon === "failed-after" ? icon : lookOf(icon);
  const words = shownText(eventWords(event));
  const about = event.node ?? "";
  return html`<li class=${`is-${look}${isSelected && about ? " chosen" : ""}`} ref=${placed({ top })}>
    <time datetime=${event.at} title=${exact(event.at)}><i>${event.at.slice(5, 10)} </i><b>${event.at.slice(11, 23)}</b></time>
    <${Icon} name=${look} /><span class="cut" title=${words}>${about && html`<button type="button" class="as-text node" onClick=${() => select(about)}><bdi>${about}</bdi></button> `}
    <bdi>${words}</bdi></span></li>`;
}

/**
 * Rows that come in above do not move what is read: a list that is scrolled stays where it is.
 * @param {import("../../../vendor/preact.js").Ref<HTMLElement | null>} box
 * @param {number} count
 */
function useStay(box, count) {
  const before = useRef(count);
  useLayoutEffect(() => {
    const more = count - before.current;
    before.current = count;
    if (box.current && more > 0 && more < 2000 && box.current.scrollTop > 4) box.current.scrollTop += more * ROW;
  }, [count]);
}
