// What one can do with a schedule: start one now, pause it, resume it, read what became of its times.
import { html, useState } from "../../vendor/preact.js";
import { post } from "../../app/api.js";
import { runAddress } from "../../app/router.js";
import { may } from "../../app/session.js";
import { Confirmed } from "../../parts/asking/confirmed.js";
import { HistoryDialog } from "./history_dialog.js";
import { schedulePath } from "./schedule.js";

/** @param {{schedule: import("./schedule.js").Schedule, onDone: (said: any) => void}} props */
export function ScheduleActions({ schedule, onDone }) {
  const [asks, ask] = useState("");
  const close = () => ask("");
  const isPaused = schedule.status === "paused";
  const named = html`<b><bdi>${schedule.name}</bdi></b>${schedule.id !== "default" && html` <bdi>${schedule.id}</bdi>`}`;
  const start = async () => {
    const made = await post(schedulePath(schedule, "trigger"));
    onDone(html`<span>${named}: one has started. <a href=${runAddress(made.execution_id)}>See the run</a></span>`);
  };
  const steer = async (/** @type {string} */ does) => {
    await post(schedulePath(schedule, does));
    onDone(html`<span>${named} ${does === "pause" ? "is paused: nothing is started until it is resumed." : "goes on. What was planned meanwhile is not caught up."}</span>`);
  };
  const label = `${schedule.name} ${schedule.id}`;
  return html`<span class="acts">
    ${may("run") && html`<button class="b" type="button" aria-label=${`Start now: ${label}`} onClick=${() => ask("start")}>Start now</button>`}
    ${may("admin") && html`<button class="b" type="button" aria-label=${`${isPaused ? "Resume" : "Pause"}: ${label}`} onClick=${() => ask(isPaused ? "resume" : "pause")}>${isPaused ? "Resume" : "Pause"}</button>`}
    <button class="b bare" type="button" aria-label=${`History: ${label}`} onClick=${() => ask("history")}>History</button></span>
    ${asks === "start" && html`<${Confirmed} title="Start one now" does="Start it" onClose=${close} act=${start}
      says=${html`${named} starts once with the inputs of the schedule, whatever is paused or runs. Its planned times stay.`} />`}
    ${asks === "pause" && html`<${Confirmed} title="Pause the schedule" does="Pause it" onClose=${close} act=${() => steer("pause")}
      says=${html`${named} starts nothing until somebody resumes it. What runs goes on.`} />`}
    ${asks === "resume" && html`<${Confirmed} title="Resume the schedule" does="Resume it" onClose=${close} act=${() => steer("resume")}
      says=${html`${named} starts again at its next time. What was planned while it was paused is not caught up.`} />`}
    ${asks === "history" && html`<${HistoryDialog} schedule=${schedule} onClose=${close} />`}`;
}
