// The schedules: when each starts the next run, what became of the last times, and how to pause it or start one now.
import { html, useState } from "../../vendor/preact.js";
import { withQuery } from "../../app/api.js";
import { cutMiddle } from "../../app/format.js";
import { query, runAddress } from "../../app/router.js";
import { useTitle } from "../../app/title.js";
import { usePolled } from "../../parts/asking/polled.js";
import { Bones } from "../../parts/bones.js";
import { Icon } from "../../parts/icon.js";
import { Ago } from "../../parts/moment.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { ShortId } from "../../parts/short_text.js";
import { shownText } from "../../parts/shown_text.js";
import { definitionAddress } from "../definitions/addresses.js";
import { OVERLAPS, scheduleKey, whenWords } from "./schedule.js";
import { ScheduleActions } from "./schedule_actions.js";
import { LastOutcomes, NextTime, shortTime } from "./times.js";

/** @typedef {import("./schedule.js").Schedule} Schedule */

const SHOWN = 100;
const EXAMPLE = "schedules:\n  - {cron: \"0 2 * * *\", timezone: Europe/Berlin}";

export function Schedules() {
  useTitle("Schedules");
  const cursor = query.value.get("cursor") ?? "";
  /** @type {import("../../parts/asking/polled.js").Polled<{items: Schedule[], next_cursor: string | null}>} */
  const { told, problem, again } = usePolled(withQuery("/schedules", { limit: SHOWN, cursor }));
  const [done, say] = useState(/** @type {any} */ (null));
  const onDone = (/** @type {any} */ what) => { say(what); again(); };
  return html`<div class="page schedules"><div class="head"><h1>Schedules</h1></div>
    <div role="status">${done && html`<div class="note done">${done}</div>`}</div>
    <section class="card" aria-label="Schedules">
      ${problem && html`<${ProblemNote} problem=${problem} what=${told ? "The newest state" : "The schedules"} again=${again} />`}
      ${!told && !problem && html`<${Bones} what="the schedules" />`}
      ${told && (told.items.length ? html`<table class="defs sched"><thead><tr><th scope="col">Schedule</th><th scope="col">Next</th><th scope="col">Last times</th>
          <th scope="col"><span class="unseen">What can be done</span></th></tr></thead>
        <tbody>${told.items.map((each) => html`<${Row} key=${scheduleKey(each)} schedule=${each} onDone=${onDone} />`)}</tbody></table>` : html`<${NoneYet} isPage=${cursor !== ""} />`)}
      ${told && (cursor || told.next_cursor) && html`<p class="foot">${cursor && html`<a class="b" href="/ui/schedules">The first</a>`}
        ${told.next_cursor && html`<a class="b" href=${withQuery("/ui/schedules", { cursor: told.next_cursor })}>Later names</a>`}</p>`}</section></div>`;
}

/** @param {{schedule: Schedule, onDone: (said: any) => void}} props */
function Row({ schedule, onDone }) {
  const { name, id, cron, overlap } = schedule;
  return html`<tr><td class="c-name"><a class="name plain" href=${definitionAddress(name)}><bdi>${shownText(cutMiddle(name, 90))}</bdi></a>${
      id !== "default" && html` <span class="faint"><bdi>${shownText(cutMiddle(id, 40))}</bdi></span>`}
      <div class="under">${whenWords(schedule)}${cron && !whenWords(schedule).startsWith(cron) && html` · <code>${cron}</code>`} · ${OVERLAPS[overlap] ?? overlap}</div><${Held} schedule=${schedule} /></td>
    <td class="c-next"><${NextTime} schedule=${schedule} /><${PausedBy} schedule=${schedule} /></td>
    <td class="c-last"><${LastOutcomes} last=${schedule.last} /></td><td class="c-acts"><${ScheduleActions} schedule=${schedule} onDone=${onDone} /></td></tr>`;
}

/** @param {{schedule: Schedule}} props What runs of it, and what holds it up. */
export function Held({ schedule }) {
  const { running, held_by: holds, waiting } = schedule;
  if (holds.length) {
    return html`<div class="under"><span class="status is-waiting"><${Icon} name="warn" />Held up by ${holds.slice(0, 3).map((id) => html`<a key=${id} href=${runAddress(id)}><${ShortId} id=${id} /></a> `)}which is paused</span></div>`;
  }
  if (!running.length) return null;
  return html`<div class="under"><span class="status is-running"><${Icon} name="running" />Runs since ${shortTime(running[0].scheduled_at)}: <a href=${runAddress(running[0].execution_id)}><${ShortId} id=${running[0].execution_id} /></a></span>
    ${waiting && html` <span>${shortTime(waiting)} waits for it</span>`}</div>`;
}

/** @param {{schedule: Schedule}} props */
export function PausedBy({ schedule }) {
  const { paused } = schedule;
  if (!paused) return null;
  if (paused.by === "document") return html`<span class="under">by its document: <code>paused: true</code></span>`;
  return html`<span class="under"><${Ago} at=${paused.at} />${paused.key && html` by key <bdi>${shownText(cutMiddle(paused.key, 30))}</bdi>`}</span>`;
}

/** @param {{isPage: boolean}} props */
function NoneYet({ isPage }) {
  if (isPage) return html`<div class="body empty"><h2>No more schedules</h2><p><a class="b" href="/ui/schedules">The first</a></p></div>`;
  return html`<div class="body empty"><h2>No schedules yet</h2><p>A definition whose document has <code>schedules</code> starts by itself. Add one, and apply the document:</p>
    <pre tabindex="0" aria-label="Example">${EXAMPLE}</pre><p><a class="b" href="/ui/definitions">The definitions</a></p></div>`;
}
