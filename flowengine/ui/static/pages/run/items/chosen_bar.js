// What is selected of a map's items, and the button that runs it again.
import { html } from "../../../vendor/preact.js";
import { counted, number } from "../../../app/format.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { wordOf } from "../../../parts/status.js";
import { MOST_CHOSEN } from "./chosen_items.js";

/**
 * @param {{chosen: import("./chosen_items.js").ChosenItems, why: string, onRerun: () => void}} props `why`: they cannot begin again now
 */
export function ChosenBar({ chosen, why, onRerun }) {
  const { size } = chosen.keys;
  if (chosen.problem) return html`<${ProblemNote} problem=${chosen.problem} what="The items to select" />`;
  if (!size && !chosen.reading) return null;
  const said = chosen.reading ? "Reading which items these are…" : `${counted(size, "item")} selected`;
  const off = why || (chosen.reading ? "Once it is known which items these are" : "");
  return html`<div class="line picked-items" role="group" aria-label="Selected items"><b class="grow" role="status">${said}</b>
    <button class=${off ? "b" : "b primary"} type="button" aria-disabled=${off ? "true" : null} title=${off || null} onClick=${() => { if (!off) onRerun(); }}>Rerun these…</button>
    <button class="b bare" type="button" onClick=${chosen.clear}>Clear</button>${why && html`<small class="quiet">${why}</small>`}${
      size >= MOST_CHOSEN && html`<small class="quiet">A rerun names ${number(MOST_CHOSEN)} items at most: select the others once these have run.</small>`}</div>`;
}

/** @param {number} count that a list has @param {string} status that it is narrowed by, or "" */
export function allWords(count, status) {
  const which = status ? ` ${wordOf(status).toLowerCase()}` : "";
  return count > MOST_CHOSEN ? `Select the first ${number(MOST_CHOSEN)} of ${number(count)}${which}` : `Select all ${number(count)}${which}`;
}
