// Everything of one node, beside what is looked at: first a sentence, then what one can do, then the facts.
import { html } from "../../../vendor/preact.js";
import { now as clock } from "../../../app/clock.js";
import { counted, number } from "../../../app/format.js";
import { useKeys } from "../../../app/keys.js";
import { Icon } from "../../../parts/icon.js";
import { Ago } from "../../../parts/moment.js";
import { ProblemNote } from "../../../parts/problem_note.js";
import { shownText } from "../../../parts/shown_text.js";
import { lookOf } from "../../../parts/status.js";
import { Value } from "../../../parts/values/value.js";
import { useAnswer } from "../history/asked.js";
import { InsideFacts } from "../inside/inside_facts.js";
import { IterationsList } from "../iterations/iterations_list.js";
import { ItemsList } from "../items/items_list.js";
import { select } from "../selection.js";
import { Section } from "../tabs/data/section.js";
import { iconOf, statusWords, tryWords } from "../words/node_words.js";
import { Answer } from "./answer.js";
import { ErrorFacts } from "./error_facts.js";
import { useDrawerFocus } from "./focus.js";
import { happenedTo } from "./happened.js";
import { ModelUse } from "./model_use.js";
import { NodeActions } from "./node_actions.js";
import { NodeEvents, NodeLogs } from "./node_history.js";
import { Neighbours } from "./neighbours.js";
import { Tries } from "./tries.js";
import { TurnFacts } from "./turn_facts.js";

/** @param {{store: import("../run_store.js").RunStore, node: string, depth: number, onClose: () => void}} props `depth`: how many groups are around it */
export function NodeDrawer({ store, node: id, depth, onClose }) {
  const node = store.nodes.get(id)?.value;
  const run = store.run.value;
  const head = useDrawerFocus(id);
  useKeys([{ keys: "Escape", does: "close the drawer", run: onClose }]);
  const version = node && `${run.run} ${node.status} ${node.attempt} ${node.iteration ?? ""} ${node.finished_at} ${node.error?.message ?? ""}`;
  const { value: detail, problem, again } = useAnswer(`${store.path}/nodes/${encodeURIComponent(id)}`, true, version);
  if (!node) return null;
  const all = store.order.value.flatMap((each) => store.nodes.get(each)?.value ?? []);
  const { said, follows, look } = happenedTo(node, all, run, clock.value);
  const loud = look === "failed" || look === "waiting";
  const at = store.order.value.indexOf(id);
  const [before, next] = [store.order.value[at - 1], store.order.value[at + 1]];
  const step = (/** @type {string} */ to, /** @type {string} */ icon, /** @type {string} */ name) => html`<button class="b bare square" type="button" aria-label=${name}
    title=${to ? `${name}: ${to}` : name} aria-disabled=${to ? null : "true"} onClick=${() => { if (to) select(to); }}><${Icon} name=${icon} /></button>`;
  return html`<aside class="drawer" aria-label=${`Node ${id}`}>
    <header><div class="line"><span class=${`status is-${lookOf(node.status)}`}><${Icon} name=${iconOf(node)} /></span>
      <h2 class="grow cut" tabindex="-1" ref=${head} title=${id}><bdi>${id}</bdi></h2>
      ${step(before, "left", "Node before")}${step(next, "right", "Next node")}
      <button class="b bare square" type="button" aria-label="Close" title="Close (Esc)" onClick=${onClose}><${Icon} name="x" /></button></div>
      <p class="small quiet"><bdi>${node.handler}</bdi> · ${statusWords(node).toLowerCase()}${node.finished_at && html` <${Ago} at=${node.finished_at} />`}${tryWords(node)}${node.hook ? " · hook" : ""}</p></header>
    <div class="scroll">
      <div class=${`cause ${loud ? `is-${look}` : "mild"}`}><p><strong><bdi>${shownText(said)}</bdi></strong></p>${follows && html`<p class="small"><bdi>${shownText(follows)}</bdi></p>`}</div>
      <${InsideFacts} node=${node} depth=${depth} />
      ${node.status === "waiting" && node.waiting_for?.kind === "turn" && html`<${TurnFacts} limitKey=${node.waiting_for.key} execution=${store.id} node=${id} />`}
      ${detail && html`<${Answer} key=${`${run.run} ${node.attempt}`} store=${store} node=${node} detail=${detail} />`}
      <${NodeActions} store=${store} node=${node} />
      <${ProblemNote} problem=${problem} what="The details of this node" again=${again} />
      ${detail && html`<${Details} store=${store} node=${node} detail=${detail} all=${all} />`}</div></aside>`;
}

/** @param {{store: import("../run_store.js").RunStore, node: import("../run_store.js").Node, detail: any, all: import("../run_store.js").Node[]}} props */
function Details({ store, node, detail, all }) {
  const tries = detail.attempts.length;
  const ended = node.status === "completed" || detail.result !== null;
  return html`${node.map && html`<${Section} name="Items" about=${number(node.map.total)} isOpen>${() => html`<${ItemsList} store=${store} node=${node} />`}</${Section}>`}
    ${detail.iteration > 0 && html`<${Section} name="Iterations" about=${number(detail.iteration)} isOpen>${() => html`
      <${IterationsList} store=${store} detail=${detail} now=${clock.value} />`}</${Section}>`}
    ${(tries > 0 || node.attempt > 0) && html`<${Section} name=${detail.iteration ? "Newest tries" : "Tries"} about=${counted(tries, "try", "tries")} isOpen=${!detail.iteration}>${() => html`
      <${Tries} attempts=${detail.attempts} status=${node.status} now=${clock.value} />`}</${Section}>`}
    ${detail.error && html`<${Section} name="Error" about=${node.status === "failed" ? "" : "of the last try"} isOpen>${() => html`<${ErrorFacts} error=${detail.error} />`}</${Section}>`}
    ${ended && html`<${Section} name="Result" about="" isOpen>${() => html`<${ModelUse} detail=${detail} /><${Value} value=${detail.result} name=${`${node.id} result`} />`}</${Section}>`}
    ${!ended && detail.error?.calls && html`<${Section} name="Model" about="what its calls took" isOpen>${() => html`<${ModelUse} detail=${detail} />`}</${Section}>`}
    <${Section} name="Config as rendered" about=${detail.config_error ? "not yet" : ""} isOpen=${!detail.config_error}>${() => html`<${Config} detail=${detail} />`}</${Section}>
    <${Section} name="Depends on" about=${node.dependencies.length || "nothing"}>${() => html`<${Neighbours} node=${node} all=${all} />`}</${Section}>
    <${Section} name="Logs" about="">${() => html`<${NodeLogs} store=${store} node=${node.id} />`}</${Section}>
    <${Section} name="Events" about="">${() => html`<${NodeEvents} store=${store} node=${node.id} />`}</${Section}>`;
}

/** @param {{detail: any}} props */
function Config({ detail }) {
  if (detail.config_error) return html`<p class="quiet">It cannot be rendered now: <bdi>${shownText(detail.config_error)}</bdi></p>`;
  return html`${detail.config_truncated && html`<p class="small quiet">It is over 64 KiB: this is its beginning.</p>`}<${Value} value=${detail.config} name=${`${detail.id} config`} />
    <p class="small quiet">As its templates give it now. Secrets are ***.</p>`;
}
