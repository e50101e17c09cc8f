// One question: who asks, until when, what it is about, and the answer.
import { html, useEffect, useState } from "../../vendor/preact.js";
import { get } from "../../app/api.js";
import { now } from "../../app/clock.js";
import { at, duration, exact } from "../../app/format.js";
import { query, runAddress } from "../../app/router.js";
import { may, me } from "../../app/session.js";
import { Icon } from "../../parts/icon.js";
import { Ago } from "../../parts/moment.js";
import { ShortId, ShortText } from "../../parts/short_text.js";
import { shownText } from "../../parts/shown_text.js";
import { About } from "./about.js";
import { ApprovalForm } from "./approval_form.js";
import { kindAddress, nodePath } from "./asks.js";
import { SignalForm } from "./signal_form.js";

const MOST_CHARS = 10_000;
const FOLDED_CHARS = 1_200;

/** @param {{item: import("./asks.js").Waiting, isGone: boolean, onDone: (what: any) => void}} props */
export function Ask({ item, isGone, onDone }) {
  const node = useNode(item);
  const Form = item.kind === "approval" ? ApprovalForm : SignalForm;
  return html`<article class="card ask" aria-label=${item.node}>
    <header><a class="back b bare" href=${kindAddress(query.value.get("kind") ?? "")}><${Icon} name="left" />Waiting</a>
      <span class="status is-waiting hide-s"><${Icon} name="waiting" /></span>
      <h2 class="cut"><bdi><${ShortText} text=${item.node} most=${80} /></bdi></h2><span class="grow"></span>
      <a class="to-run" href=${runAddress(item.execution_id, { node: item.node })}>See the run</a></header>
    <div class="body"><${Facts} item=${item} node=${node} />
      <${Prompt} text=${item.prompt ?? "It says no more than its name."} />
      <${About} item=${item} node=${node} />
      ${isGone ? html`<div class="note is-queued" role="status"><span>This does not wait any more: somebody has answered it, its time was over, or its run was stopped.</span></div>`
        : may("decide") ? html`<${Form} item=${item} node=${node} onDone=${onDone} />` : html`<${RoleNote} />`}</div></article>`;
}

/**
 * What the node's own page tells, null until it is there: what it comes after, and what follows a rejection.
 * @param {import("./asks.js").Waiting} item
 */
function useNode(item) {
  const [node, setNode] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const stop = new AbortController();
    get(nodePath(item.execution_id, item.node), { signal: stop.signal }).then(setNode, () => undefined);
    return () => stop.abort();
  }, []);
  return node;
}

/** @param {{item: import("./asks.js").Waiting, node: any}} props */
function Facts({ item, node }) {
  const left = at(item.until) - now.value;
  const ends = node?.config?.on_timeout === "continue" ? "goes on" : "fails";
  return html`<dl class="facts small"><div><dt>Workflow</dt><dd class="cut"><bdi><${ShortText} text=${item.name} most=${80} /></bdi></dd></div>
    <div><dt>Run</dt><dd><${ShortId} id=${item.execution_id} /></dd></div>
    <div><dt>Asked</dt><dd><${Ago} at=${item.since} /></dd></div>
    <div><dt>Unanswered</dt><dd title=${exact(item.until)}>${left > 0 ? `it ${ends} in ${duration(left)}` : `it ${ends} now`}</dd></div>
    ${item.attempt > 1 && html`<div><dt>Try</dt><dd>${item.attempt}</dd></div>`}</dl>`;
}

/** @param {{text: string}} props */
function Prompt({ text }) {
  const [open, setOpen] = useState(false);
  const most = open ? MOST_CHARS : FOLDED_CHARS;
  return html`<p class="prompt"><bdi>${shownText(text.slice(0, most))}</bdi>${text.length > most && "…"}</p>
    ${text.length > FOLDED_CHARS && html`<p><button class="b" type="button" aria-expanded=${open} onClick=${() => setOpen(!open)}>${open ? "Show less" : "Show all of it"}</button></p>`}`;
}

/** For a key that may look, and not answer. */
function RoleNote() {
  return html`<div class="note is-waiting" role="note"><${Icon} name="warn" /><span class="grow">
    <b>This key may look, and not answer.</b> ${me.value?.key ?? "It"} has the role ${me.value?.role}; to answer takes the role <b>decide</b>. An admin
    makes such a key with ${" "}<code>flowengine key new NAME --role decide</code>.</span></div>`;
}
