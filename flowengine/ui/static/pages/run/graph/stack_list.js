// The nodes of a stack, as a list in pages, those that failed first.
import { html, useEffect, useRef, useState } from "../../../vendor/preact.js";
import { exactNow } from "../../../app/clock.js";
import { counted } from "../../../app/format.js";
import { Icon } from "../../../parts/icon.js";
import { select, selected } from "../selection.js";
import { saidOf } from "./card_words.js";

const PAGE = 50;
const FIRST = ["failed", "waiting", "running", "queued", "pending", "cancelled", "skipped", "completed"];

/** @param {{store: import("../run_store.js").RunStore, card: import("./picture.js").Card, onClose: () => void}} props */
export function StackList({ store, card, onClose }) {
  const [page, turnTo] = useState(0);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => box.current?.focus(), []);
  const nodes = store.some(card.members ?? []);
  const sorted = nodes.map((node, index) => ({ node, index }))
    .sort((a, b) => FIRST.indexOf(a.node.status) - FIRST.indexOf(b.node.status) || a.index - b.index);
  const shown = sorted.slice(page * PAGE, (page + 1) * PAGE);
  const last = Math.max(0, Math.ceil(nodes.length / PAGE) - 1);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    onClose();
  };
  return html`<section class="stack over-stage" ref=${box} tabindex="-1" aria-label=${`${nodes.length} nodes like ${card.id}`} onKeyDown=${onKeyDown}>
    <header class="line"><h2 class="grow cut">${counted(nodes.length, "node")} of <bdi>${card.handler}</bdi></h2>
      <button class="b bare square" type="button" aria-label="Close the list" onClick=${onClose}><${Icon} name="x" /></button></header>
    <ul>${shown.map(({ node }) => {
      const said = saidOf(node, exactNow(), (id) => store.nodes.get(id)?.peek());
      return html`<li key=${node.id}><button type="button" class=${`is-${said.look}`} aria-pressed=${selected.value === node.id ? "true" : "false"}
        aria-label=${said.name} onClick=${() => select(node.id)}><${Icon} name=${said.icon} /><span class="cut" title=${node.id}>${node.id}</span>
        <small class="cut">${said.line}</small></button></li>`;
    })}</ul>
    ${last > 0 && html`<footer class="line"><button class="b" type="button" aria-disabled=${page ? null : "true"} onClick=${() => page && turnTo(page - 1)}>Earlier</button>
      <span class="grow small quiet" role="status">${page * PAGE + 1} to ${Math.min(nodes.length, (page + 1) * PAGE)} of ${nodes.length}</span>
      <button class="b" type="button" aria-disabled=${page < last ? null : "true"} onClick=${() => page < last && turnTo(page + 1)}>Later</button></footer>`}
  </section>`;
}
