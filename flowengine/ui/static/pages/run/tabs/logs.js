// What all nodes of a run have logged and printed, together.
import { html, useState } from "../../../vendor/preact.js";
import { number } from "../../../app/format.js";
import { CopyButton } from "../../../parts/copy_button.js";
import { Icon } from "../../../parts/icon.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { saveText } from "../../../parts/shown_text.js";
import { useKeys } from "../../../app/keys.js";
import { fieldsOf, KEPT_LINES, levelOf, plainLine, useLines } from "../history/run_lines.js";
import { LogLines } from "./logs/log_lines.js";

/** @type {[string, string, (line: import("../history/run_lines.js").LogLine) => boolean][]} */
const LEVELS = [
  ["", "All lines", () => true],
  ["info", "Info and above", (line) => levelOf(line) >= 1],
  ["warning", "Warnings and errors", (line) => levelOf(line) >= 2],
  ["error", "Errors", (line) => levelOf(line) >= 3],
  ["printed", "Printed", (line) => line.level === undefined],
];

/** @param {{store: import("../run_store.js").RunStore}} props */
export function Logs({ store }) {
  const feed = useLines(store);
  const [level, setLevel] = useState("");
  const [node, setNode] = useState("");
  const [text, setText] = useState("");
  const [follow, setFollow] = useState(!store.isOver.value);
  useKeys([{ keys: "f", does: "follow the newest lines", run: () => setFollow((now) => !now) }]);
  feed.changed.value;
  const loud = LEVELS.find(([key]) => key === level)?.[2] ?? (() => true);
  const wanted = text.trim().toLowerCase();
  const lines = feed.items.filter((line) => loud(line) && (!node || line.node === node)
    && (!wanted || line.message.toLowerCase().includes(wanted) || fieldsOf(line).toLowerCase().includes(wanted)));
  const speakers = [...new Set(feed.items.map((line) => line.node))].sort();
  const whole = () => lines.map(plainLine).join("\n");
  const filtered = lines.length < feed.items.length;
  const reading = feed.state.value === "reading";
  return html`<section class="tab" aria-label="Logs">
    <div class="time-bar">
      <label class="line"><span class="unseen">Node</span><select class="in" value=${node} onChange=${(/** @type {any} */ event) => setNode(event.target.value)}>
        <option value="">All nodes</option>${speakers.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}</select></label>
      <label class="line"><span class="unseen">Level</span><select class="in" value=${level} onChange=${(/** @type {any} */ event) => setLevel(event.target.value)}>
        ${LEVELS.map(([key, name]) => html`<option key=${key} value=${key}>${name}</option>`)}</select></label>
      <label class="line"><span class="unseen">Text in the lines</span><input class="in filter" type="search" value=${text} placeholder="Text in the lines"
        onInput=${(/** @type {any} */ event) => setText(event.target.value)} /></label>
      <button class="b" type="button" aria-pressed=${follow} onClick=${() => setFollow(!follow)}>Follow <kbd>f</kbd></button>
      <span class="quiet">${filtered ? `${number(lines.length)} of ${number(feed.items.length)} lines` : `${number(lines.length)} lines`}${reading ? ", reading on" : ""}</span>
      ${filtered && html`<button class="b bare" type="button" onClick=${() => { setLevel(""); setNode(""); setText(""); }}>Show all</button>`}
      <span class="grow"></span><${CopyButton} text=${whole} what="these lines" />
      <button class="b bare" type="button" onClick=${() => saveText(whole(), `${store.id}.log`)}>Download</button></div>
    <${ProblemNote} problem=${feed.problem.value} what="The lines" again=${feed.read} />
    ${feed.cut.value && html`<p class="tab-note"><${Icon} name="warn" /> Older lines were dropped: ${feed.dropped()
      ? `this page holds the newest ${number(KEPT_LINES)}.` : "the newest 1000 lines or 256 KiB of a node are kept, and 16 MiB of a run."}</p>`}
    ${feed.state.value === "stopped" && !feed.problem.value && html`<p class="tab-note">There are more. <button class="b" type="button" onClick=${feed.read}>Read on</button></p>`}
    ${lines.length ? html`<${LogLines} lines=${lines} follow=${follow} label="Lines of all nodes"
      onScrolled=${(/** @type {boolean} */ atEnd) => { if (atEnd !== follow && (follow || !store.isOver.value)) setFollow(atEnd); }} />`
      : !reading && html`<p class="tab-note">${feed.items.length ? "No line matches the filter."
        : "No node has logged or printed anything. Handlers do so with context.logger, logging or print."}</p>`}</section>`;
}
