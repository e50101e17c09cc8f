// Go to a place or a run: what begins with the typed text is listed as one types.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { Dialog } from "../parts/dialog.js";
import { Ago } from "../parts/moment.js";
import { ShortId } from "../parts/short_text.js";
import { Status } from "../parts/status.js";
import { get, withQuery } from "./api.js";
import { cutMiddle } from "./format.js";
import { PLACES } from "./places.js";
import { navigate, runAddress } from "./router.js";

/** @typedef {{href: string, name: string, run?: any}} Goal */

const TYPED_MS = 150;
const MOST_RUNS = 8;
const MOST_CHARS = 200;

/** @param {{onClose: () => void}} props */
export function GoTo({ onClose }) {
  const [text, setText] = useState("");
  const [goals, setGoals] = useState(/** @type {Goal[]} */ (PLACES));
  const [place, setPlace] = useState(0);
  const [why, say] = useState("");
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  useLayoutEffect(() => field.current?.focus(), []);
  useEffect(() => {
    const places = PLACES.filter((each) => each.name.toLowerCase().startsWith(text.toLowerCase()));
    setPlace(0);
    if (!text) return setGoals(places);
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const page = await get(withQuery("/workflows", { q: text, limit: MOST_RUNS }), { signal: stop.signal });
        setGoals([...places, ...page.items.map(goalOf)]);
        say(page.items.length || places.length ? "" : "Nothing begins with this.");
      } catch (error) {
        if (!stop.signal.aborted) say(/** @type {Error} */ (error).message);
      }
    }, TYPED_MS);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [text]);
  const go = (/** @type {string} */ href) => { onClose(); navigate(href); };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (goals[place]) go(goals[place].href);
    else if (text) go(withQuery("/ui/runs", { q: text }));
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !goals.length) return;
    event.preventDefault();
    setPlace((place + step + goals.length) % goals.length);
  };
  return html`<${Dialog} title="Go to" onClose=${onClose}><form onSubmit=${submit}>
    <input class="in" ref=${field} role="combobox" aria-expanded="true" aria-controls="goals" aria-autocomplete="list" autocomplete="off"
      spellcheck=${false} aria-activedescendant=${goals[place] ? `goal-${place}` : null} maxlength=${MOST_CHARS}
      aria-label="A place, or the beginning of a run's name or id" placeholder="A place, or the beginning of a run's name or id"
      onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value.trim())} onKeyDown=${onKeyDown} />
    <ul class="goals" id="goals" role="listbox" aria-label="Places and runs">${goals.map((goal, index) => html`
      <li key=${goal.href} id=${`goal-${index}`} role="option" aria-selected=${index === place ? "true" : "false"} onClick=${() => go(goal.href)}>
        <${GoalLine} goal=${goal} /></li>`)}</ul>
    <p class="small quiet" role="status">${why}</p></form></${Dialog}>`;
}

/** @param {{goal: Goal}} props */
function GoalLine({ goal }) {
  const { run, name } = goal;
  if (!run) return html`<span class="grow">${name}</span><span class="faint small">place</span>`;
  return html`<span class="grow cut"><b><bdi>${cutMiddle(name, 80)}</bdi></b> <${ShortId} id=${run.execution_id} is="faint" /></span>
    <${Status} status=${run.status} /><span class="faint small"><${Ago} at=${run.created_at} /></span>`;
}

/** @param {any} run @returns {Goal} */
const goalOf = (run) => ({ href: runAddress(run.execution_id), name: run.name, run });
