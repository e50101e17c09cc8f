// The lines and the events of one node: asked for when their part of the drawer is opened.
import { html } from "../../../vendor/preact.js";
import { exact } from "../../../app/format.js";
import { CopyButton } from "../../../parts/copy_button.js";
import { Icon } from "../../../parts/icon.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { saveText, shownText } from "../../../parts/shown_text.js";
import { lookOf } from "../../../parts/status.js";
import { eventsOf } from "../history/run_events.js";
import { plainLine, useLines } from "../history/run_lines.js";
import { LogLines } from "../tabs/logs/log_lines.js";
import { eventWords, lookOfEvent } from "../words/event_words.js";

/** @param {{store: import("../run_store.js").RunStore, node: string}} props */
export function NodeLogs({ store, node }) {
  const feed = useLines(store, node);
  feed.changed.value;
  const whole = () => feed.items.map(plainLine).join("\n");
  return html`<${ProblemNote} problem=${feed.problem.value} what="The lines" again=${feed.read} />
    ${feed.cut.value && html`<p class="small quiet"><${Icon} name="warn" /> Older lines were dropped: the newest 1000 or 256 KiB are kept.</p>`}
    ${feed.items.length ? html`<${LogLines} lines=${feed.items} follow=${!store.isOver.value} oneNode label="Lines of this node" />
      <div class="line small quiet"><${CopyButton} text=${whole} what="these lines" /><button class="b bare" type="button" onClick=${() => saveText(whole(), `${node}.log`)}>Download</button></div>`
      : feed.state.value === "whole" && html`<p class="quiet">It has logged and printed nothing.</p>`}`;
}

/** @param {{store: import("../run_store.js").RunStore, node: string}} props */
export function NodeEvents({ store, node }) {
  const feed = eventsOf(store);
  feed.changed.value;
  const mine = feed.items.filter((event) => event.node === node).slice(-200);
  return html`<${ProblemNote} problem=${feed.problem.value} what="The events" again=${feed.read} />
    ${mine.length ? html`<ol class="near">${mine.map((event) => {
      const icon = lookOfEvent(event);
      return html`<li key=${event.id} class=${`is-${icon === "failed-after" ? "failed" : lookOf(icon)}`}><time class="faint" title=${exact(event.at)}>${event.at.slice(11, 23)}</time>
        <${Icon} name=${icon === "failed-after" ? icon : lookOf(icon)} /><bdi>It ${shownText(eventWords(event))}</bdi></li>`;
    })}</ol>` : feed.state.value === "whole" && html`<p class="quiet">Nothing has happened to it yet.</p>`}`;
}
