// Waiting for you: what asks a person, over all runs, and the form that answers it.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";
import { withQuery } from "../../app/api.js";
import { counted } from "../../app/format.js";
import { useKeys } from "../../app/keys.js";
import { navigate, query } from "../../app/router.js";
import { isNarrow } from "../../app/session.js";
import { useTitle } from "../../app/title.js";
import { usePolled } from "../../parts/asking/polled.js";
import { Bones } from "../../parts/bones.js";
import { ProblemNote } from "../../parts/problem_note.js";
import { Ask } from "./ask.js";
import { AskList } from "./ask_list.js";
import { askAddress, kindAddress, keyOf } from "./asks.js";
import { countAgain } from "./waiting_count.js";

/** @typedef {import("./asks.js").Waiting} Waiting */

const SHOWN = 100;
const KINDS = [{ kind: "", name: "All" }, { kind: "approval", name: "Approvals" }, { kind: "signal", name: "Signals" }];

export function WaitingPage() {
  if (isNarrow()) return html`<${NotForAll} />`;
  return html`<${Desk} />`;
}

function Desk() {
  const asked = query.value;
  const kind = asked.get("kind") ?? "";
  const cursor = asked.get("cursor") ?? "";
  /** @type {import("../../parts/asking/polled.js").Polled<{items: Waiting[], next_cursor: string | null}>} */
  const polled = usePolled(withQuery("/waiting", { kind, limit: SHOWN, cursor }));
  const [done, say] = useState(/** @type {any} */ (null));
  const said = useRef(/** @type {HTMLElement | null} */ (null));
  const items = polled.told?.items ?? [];
  const chosen = useChosen(items, polled.told !== null);
  useTitle(items.length ? `${counted(items.length, "waits", "wait")} for you` : "Waiting for you", items.length ? "waiting" : "");
  useLayoutEffect(() => { if (done) said.current?.focus(); }, [done]);
  const step = (/** @type {number} */ by) => {
    const next = items[items.findIndex((each) => each === chosen.item) + by];
    if (next) navigate(askAddress(next), { replace: true });
  };
  useKeys([{ keys: "j", does: "next that waits", run: () => step(1) }, { keys: "k", does: "the one before", run: () => step(-1) }], [items, chosen.item]);
  const onDone = (/** @type {any} */ what) => {
    say(what);
    navigate(withQuery("/ui/waiting", { kind, cursor }), { replace: true });
    polled.again();
    countAgain();
  };
  return html`<div class=${chosen.isAsked ? "page waiting one" : "page waiting"}>
    <div class="head"><h1>Waiting for you</h1><span class="quiet">${polled.told && wordsFor(items)}</span>
      <div class="actions"><span class="joined">${KINDS.map((each) => html`<a key=${each.kind} class="b" href=${kindAddress(each.kind)}
        aria-current=${each.kind === kind ? "true" : null}>${each.name}</a>`)}</span></div></div>
    ${done && html`<div class="note done" tabindex="-1" role="status" ref=${said}>${done}</div>`}
    <${ProblemNote} problem=${polled.problem} what=${polled.told ? "The newest state" : "What waits"} again=${polled.again} />
    ${!polled.told && !polled.problem && html`<${Bones} what="what waits" />`}
    ${polled.told && (items.length || chosen.item || chosen.isAsked ? html`<div class="desk">
      <div class="asks-side"><${AskList} items=${items} chosen=${chosen.item} /><${Pages} cursor=${cursor} next=${polled.told.next_cursor} kind=${kind} /></div>
      ${chosen.item ? html`<${Ask} key=${keyOf(chosen.item)} item=${chosen.item} isGone=${chosen.isGone} onDone=${onDone} />`
        : chosen.isAsked && html`<${Unknown} />`}</div>` : html`<${Nothing} kind=${kind} cursor=${cursor} />`)}</div>`;
}

/**
 * The item that the address names, kept when it no longer waits; else the first.
 * @param {Waiting[]} items
 * @param {boolean} isTold
 */
function useChosen(items, isTold) {
  const run = query.value.get("run") ?? "";
  const node = query.value.get("node") ?? "";
  const kept = useRef(/** @type {Waiting | null} */ (null));
  const shown = useRef("");
  const isAsked = Boolean(run && node);
  const found = isAsked ? items.find((each) => each.execution_id === run && each.node === node) : items[0];
  // A page that shows the first one does not change under what is typed there.
  const before = kept.current;
  const stays = before !== null && !isAsked && shown.current === "" && items.some((each) => keyOf(each) === keyOf(before));
  const isBefore = before !== null && isAsked && before.execution_id === run && before.node === node;
  const item = stays ? items.find((each) => keyOf(each) === keyOf(before)) ?? null : found ?? (isBefore ? before : null);
  useEffect(() => {
    kept.current = item;
    shown.current = isAsked ? `${run} ${node}` : "";
  });
  return { item, isAsked, isGone: isTold && isAsked && !found };
}

/** @param {Waiting[]} items "2 approvals, 1 signal" */
function wordsFor(items) {
  const approvals = items.filter((each) => each.kind === "approval").length;
  return [approvals && counted(approvals, "approval"), items.length - approvals && counted(items.length - approvals, "signal")].filter(Boolean).join(", ");
}

/** @param {{cursor: string, next: string | null, kind: string}} props */
function Pages({ cursor, next, kind }) {
  if (!cursor && !next) return null;
  return html`<p class="foot">${cursor && html`<a class="b" href=${kindAddress(kind)}>The first</a>`}
    ${next && html`<a class="b" href=${withQuery("/ui/waiting", { kind, cursor: next })}>Later ones</a>`}</p>`;
}

/** @param {{kind: string, cursor: string}} props */
function Nothing({ kind, cursor }) {
  if (kind || cursor) {
    return html`<div class="card"><div class="body empty"><h2>${kind ? `No ${kind} waits` : "No more wait"}</h2>
      <p><a class="b" href="/ui/waiting">All that wait</a></p></div></div>`;
  }
  return html`<div class="card"><div class="body empty"><h2>Nothing waits for you</h2>
    <p>A run that reaches a node <code>approval</code> or <code>signal</code> is listed here, until somebody answers it or its time is over.</p>
    <p>How a workflow asks: <code>flowengine help waits</code>. The same list from a terminal: <code>flowengine list</code> shows what runs wait for.</p></div></div>`;
}

/** For an address of something that waits no longer. */
function Unknown() {
  const run = query.value.get("run") ?? "";
  return html`<article class="card ask"><div class="body empty"><h2>This does not wait any more</h2>
    <p>Somebody has answered it, its time was over, or its run was stopped.</p>
    <p class="line"><a class="b" href=${`/ui/runs/${encodeURIComponent(run)}`}>See the run</a><a class="b" href="/ui/waiting">What waits</a></p></div></article>`;
}

/** For a key that may not see all runs. */
function NotForAll() {
  return html`<div class="page waiting"><div class="head"><h1>Waiting for you</h1></div><div class="card"><div class="body empty">
    <h2>This list is not for your key</h2><p>It is over all runs, and your key is for some definitions only. A run's own page shows what it waits for.</p>
    <p><a class="b" href="/ui/definitions">Your definitions</a></p></div></div></div>`;
}
