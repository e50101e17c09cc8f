// What a node depends on, and what depends on it.
import { html, useState } from "../../../vendor/preact.js";
import { number } from "../../../app/format.js";
import { Icon } from "../../../parts/icon.js";
import { lookOf } from "../../../parts/status.js";
import { select } from "../selection.js";
import { iconOf, statusWords } from "../words/node_words.js";

const SHOWN = 20;

/** @typedef {import("../run_store.js").Node} Node */

/** @param {{node: Node, all: Node[]}} props */
export function Neighbours({ node, all }) {
  const above = all.filter((each) => node.dependencies.includes(each.id));
  const below = all.filter((each) => each.dependencies.includes(node.id));
  return html`${above.length ? html`<${List} nodes=${above} />` : html`<p class="quiet">It depends on nothing: it begins with ${node.hook ? "its stage" : "the run"}.</p>`}
    <h3 class="small">What depends on it</h3>${below.length ? html`<${List} nodes=${below} />` : html`<p class="quiet">Nothing.</p>`}`;
}

/** @param {{nodes: Node[]}} props */
function List({ nodes }) {
  const [most, show] = useState(SHOWN);
  return html`<ul class="near">${nodes.slice(0, most).map((each) => html`<li key=${each.id} class=${`is-${lookOf(each.status)}`}><${Icon} name=${iconOf(each)} />
    <button type="button" class="as-text link cut" title=${each.id} onClick=${() => select(each.id)}><bdi>${each.id}</bdi></button><span class="quiet small">${statusWords(each).toLowerCase()}</span></li>`)}</ul>
    ${nodes.length > most && html`<button class="b" type="button" onClick=${() => show(most + 100)}>${number(nodes.length - most)} more</button>`}`;
}
