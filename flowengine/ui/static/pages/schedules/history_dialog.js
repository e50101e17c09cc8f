// What became of each planned time, the newest first.
import { html, useState } from "../../vendor/preact.js";
import { withQuery } from "../../app/api.js";
import { cutMiddle } from "../../app/format.js";
import { runAddress } from "../../app/router.js";
import { usePolled } from "../../parts/asking/polled.js";
import { Bones } from "../../parts/bones.js";
import { Dialog } from "../../parts/dialog.js";
import { Icon } from "../../parts/icon.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { ShortId } from "../../parts/short_text.js";
import { shownText } from "../../parts/shown_text.js";
import { outcomeOf, schedulePath } from "./schedule.js";
import { shortTime } from "./times.js";

const SHOWN = 50;

/** @param {{schedule: import("./schedule.js").Schedule, onClose: () => void}} props */
export function HistoryDialog({ schedule, onClose }) {
  const [cursor, goBehind] = useState("");
  /** @type {import("../../parts/asking/polled.js").Polled<{items: import("./schedule.js").Outcome[], next_cursor: string | null}>} */
  const { told, problem, again } = usePolled(withQuery(schedulePath(schedule, "history"), { limit: SHOWN, cursor }));
  return html`<${Dialog} title=${`History: ${schedule.name}${schedule.id === "default" ? "" : ` ${schedule.id}`}`} onClose=${onClose} wide>
    ${problem && html`<${ProblemNote} problem=${problem} what="The history" again=${again} />`}
    ${!told && !problem && html`<${Bones} what="the history" />`}
    ${told && !told.items.length && html`<p class="quiet">Nothing yet: its first time has not come.</p>`}
    ${told && told.items.length > 0 && html`<ul class="history">${told.items.map((each) => html`<li key=${`${each.at} ${each.scheduled_at} ${each.outcome}`}>
      <time datetime=${each.scheduled_at}>${shortTime(each.scheduled_at)}${each.until && html`<br />to ${shortTime(each.until)}`}</time><${Line} each=${each} /></li>`)}</ul>`}
    ${(cursor || told?.next_cursor) && html`<p class="foot">${cursor && html`<button class="b" type="button" onClick=${() => goBehind("")}>The newest</button>`}
      ${told?.next_cursor && html`<button class="b" type="button" onClick=${() => goBehind(told.next_cursor ?? "")}>Older ones</button>`}</p>`}</${Dialog}>`;
}

/** @param {{each: import("./schedule.js").Outcome}} props */
function Line({ each }) {
  const { word, icon, look } = outcomeOf(each.outcome);
  return html`<span class=${`status is-${look}`}><${Icon} name=${icon} />${word}</span><span class="grow">${
    each.by && html`<span class="quiet">by hand${each.by.key ? html`, key <bdi>${shownText(cutMiddle(each.by.key, 40))}</bdi>` : ""}</span> `}${
    each.message && html`<bdi>${shownText(each.message.slice(0, 600))}</bdi> `}${each.code && html`<code class="faint">${each.code}</code>`}</span>
    ${each.execution_id && html`<a href=${runAddress(each.execution_id)}><${ShortId} id=${each.execution_id} /></a>`}`;
}
