// The schedules of one definition, on its page.
import { html, useState } from "../../vendor/preact.js";
import { withQuery } from "../../app/api.js";
import { cutMiddle } from "../../app/format.js";
import { usePolled } from "../../parts/asking/polled.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { shownText } from "../../parts/shown_text.js";
import { OVERLAPS, scheduleKey, whenWords } from "./schedule.js";
import { ScheduleActions } from "./schedule_actions.js";
import { Held, PausedBy } from "./schedules.js";
import { LastOutcomes, NextTime, shortTime } from "./times.js";

/** @param {{name: string}} props */
export function SchedulesCard({ name }) {
  /** @type {import("../../parts/asking/polled.js").Polled<{items: import("./schedule.js").Schedule[]}>} */
  const { told, problem, again } = usePolled(withQuery("/schedules", { name }));
  const [done, say] = useState(/** @type {any} */ (null));
  const items = told?.items ?? [];
  if (!problem && !items.length) return null;
  return html`<section class="card" aria-label="Schedules"><header><h2>Schedules</h2></header>
    ${problem && html`<${ProblemNote} problem=${problem} what="Its schedules" again=${again} />`}
    <div role="status">${done && html`<div class="note done">${done}</div>`}</div>
    ${items.map((each) => html`<div key=${scheduleKey(each)} class="body one-schedule"><p class="line"><code class="cut">${shownText(cutMiddle(each.id, 40))}</code><span class="grow quiet">${whenWords(each)}</span></p>
      <dl class="kv"><dt>Next</dt><dd><${NextTime} schedule=${each} alone /><${PausedBy} schedule=${each} /></dd>
        ${each.next_times.length > 1 && html`<dt>Then</dt><dd>${each.next_times.slice(1).map((time) => html`<span key=${time} class="under">${shortTime(time)}</span>`)}</dd>`}
        <dt>Overlap</dt><dd>${OVERLAPS[each.overlap] ?? each.overlap}</dd><dt>Last</dt><dd><${LastOutcomes} last=${each.last} /><${Held} schedule=${each} /></dd></dl>
      <${ScheduleActions} schedule=${each} onDone=${(/** @type {any} */ what) => { say(what); again(); }} /></div>`)}</section>`;
}
