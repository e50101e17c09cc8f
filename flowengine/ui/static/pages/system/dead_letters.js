// The dead letters: messages that were set aside, why, and what can be done with them.
import { html, useState } from "../../vendor/preact.js";
import { call, post, withQuery } from "../../app/api.js";
import { runAddress } from "../../app/router.js";
import { Ago } from "../../parts/moment.js";
import { Confirmed } from "../../parts/asking/confirmed.js";
import { usePolled } from "../../parts/asking/polled.js";
import { numeric, Rows } from "../../parts/asking/rows.js";

const SHOWN = 50;
/** @type {Record<string, string>} */
const REASONS = {
  undecodable: "Nobody can read it: it was written by something else, or damaged",
  exhausted: "Each process that took it died: it may take too much memory, or crash the handler",
  unknown_actor: "It is for an actor that no process has",
  rejected: "A process refused it",
  raised: "A process raised an error that it did not expect: see its log",
};
/** @type {Record<string, string>} */
const DONE = {
  triggered: "The run was triggered again.",
  sent: "The message is in its queue again.",
  overtaken: "The run was triggered again before: there was nothing to do, and the letter is gone.",
};

/**
 * @typedef {{id: string, queue: string, reason: string, deliveries: number, buried_at: string, retry: "trigger" | "send", actor?: string,
 *   execution_id?: string, run?: number, node?: string, handler?: string}} Letter
 * @param {{queues: import("../../parts/asking/polled.js").Polled<any>}} props
 */
export function DeadLetters({ queues }) {
  const [before, goBehind] = useState("");
  /** @type {import("../../parts/asking/polled.js").Polled<{items: Letter[], next_cursor: string | null}>} */
  const polled = usePolled(withQuery("/dead-letters", { limit: SHOWN, cursor: before }));
  const [asks, ask] = useState(/** @type {{letter: Letter, does: "retry" | "delete"} | null} */ (null));
  const [done, say] = useState(/** @type {any} */ (null));
  const items = polled.told?.items ?? [];
  const next = polled.told?.next_cursor;
  const finished = (/** @type {any} */ said) => {
    say(said);
    polled.again();
    queues.again();
  };
  return html`<div role="status">${done && html`<p class="hint">${done}</p>`}</div>
    <${Rows} name="Dead letters" polled=${polled} count=${items.length}
      empty=${html`There is none. A message comes here when each process that took it has died, or when nobody can read it.`}
      heads=${["What", "Why it was set aside", "Queue", numeric("Tries"), numeric("Since"), html`<th scope="col"><span class="unseen">What can be done</span></th>`]}
      foot=${(before || next) && html`<p class="foot">${before && html`<button class="b" type="button" onClick=${() => goBehind("")}>The newest</button>`}
        ${next && html`<button class="b" type="button" onClick=${() => goBehind(next)}>Older ones</button>`}</p>`}>
      ${items.map((letter) => html`<tr key=${letter.id}><th scope="row" class="name"><${About} letter=${letter} /></th>
        <td>${REASONS[letter.reason] ?? letter.reason} <code class="faint">${letter.reason}</code></td>
        <td><bdi>${letter.queue}</bdi></td><td class="num">${letter.deliveries}</td><td class="num"><${Ago} at=${letter.buried_at} /></td>
        <td class="acts"><button class="b" type="button" onClick=${() => ask({ letter, does: "retry" })}>Retry</button>
          <button class="b danger" type="button" onClick=${() => ask({ letter, does: "delete" })}>Delete</button></td></tr>`)}</${Rows}>
    ${asks && html`<${Ask} ...${asks} onDone=${finished} onClose=${() => ask(null)} />`}`;
}

/** @param {{letter: Letter}} props */
function About({ letter }) {
  if (!letter.execution_id) return html`<span>${letter.actor ?? "a message"}</span> <code class="faint">${letter.id}</code>`;
  const more = letter.node ? { node: letter.node } : undefined;
  return html`<a href=${runAddress(letter.execution_id, more)}><bdi>${letter.node ?? letter.execution_id}</bdi></a>
    <span class="under"><bdi>${letter.handler ?? letter.actor}</bdi>${" "}<code class="faint">${letter.execution_id}</code></span>`;
}

/** @param {{letter: Letter, does: "retry" | "delete", onDone: (said: any) => void, onClose: () => void}} props */
function Ask({ letter, does, onDone, onClose }) {
  const path = `/dead-letters/${encodeURIComponent(letter.id)}`;
  if (does === "delete") {
    return html`<${Confirmed} title="Delete the letter" does="Delete it" danger=${true} onClose=${onClose}
      says="The letter goes, and nothing else changes: a node that has failed with it stays failed. This cannot be undone."
      act=${async () => { await call("DELETE", path); onDone("The letter is deleted."); }} />`;
  }
  const says = letter.retry === "trigger"
    ? `Its node${letter.node ? ` ${letter.node}` : ""} has failed with it. The run is triggered again: what failed, and what comes after it, runs again.`
    : `The message goes back to the queue ${letter.queue}, and is tried anew.`;
  const act = async () => {
    const answer = await post(`${path}/retry`);
    const link = answer.execution_id ? html` <a href=${runAddress(answer.execution_id)}>See the run</a>` : "";
    onDone(html`${DONE[answer.done] ?? answer.done}${link}`);
  };
  return html`<${Confirmed} title="Retry the letter" does="Retry it" says=${says} act=${act} onClose=${onClose} />`;
}
