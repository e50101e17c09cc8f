// The graph of a document: the plan, with a mark on each node that has a problem. A node leads to its line.
import { html, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { counted, cutToFit, stackName } from "../app/format.js";
import { standsForRun } from "./words/stands_for_run.js";

/** @typedef {{line?: number, code: string}} Wrong */

const EDGE = 18;
const MOST_ID = 21;
const MOST_SUB = 27;
const CORNER = 6;
const LEAST_SCALE = 0.05;

/**
 * @param {{graph: any, count: number, lines: Map<string, number>, wrong?: Map<string, Wrong>, onOpen: (line: number) => void}} props
 *   `count`: of its nodes; `lines` and `wrong`: where each node stands, and its first problem, by id
 */
export function PlanGraph({ graph, count, lines, wrong = new Map(), onOpen }) {
  const stage = useRef(/** @type {HTMLElement | null} */ (null));
  const picture = useRef(/** @type {SVGElement | null} */ (null));
  const [scale, setScale] = useState(0);
  const [focused, focus] = useState("");
  const width = graph.width + 2 * EDGE;
  const height = graph.height + 2 * EDGE;
  const fit = () => {
    const box = stage.current;
    return box ? Math.max(LEAST_SCALE, Math.min(1, box.clientWidth / width, (box.clientHeight - 4) / height)) : 1;
  };
  useLayoutEffect(() => {
    const shown = scale || fit();
    picture.current?.setAttribute("width", String(Math.floor(width * shown)));
    picture.current?.setAttribute("height", String(Math.floor(height * shown)));
  });
  const zoom = (/** @type {number} */ by) => setScale(Math.max(LEAST_SCALE, Math.min(2, (scale || fit()) * by)));
  const stop = graph.cards.some((/** @type {any} */ card) => card.id === focused) ? focused : graph.cards[0]?.id;
  const press = (/** @type {KeyboardEvent} */ event) => {
    const next = neighbour(graph, stop, event.key);
    if (!next) return;
    event.preventDefault();
    focus(next);
    const at = graph.cards.findIndex((/** @type {any} */ card) => card.id === next);
    /** @type {SVGElement | null | undefined} */ (stage.current?.querySelector(`[data-at="${at}"]`))?.focus();
  };
  return html`<div class="stage plan" ref=${stage}>
    <div class="scroll-both"><svg ref=${picture} viewBox=${`${-EDGE} ${-EDGE} ${width} ${height}`} role="group"
        aria-label=${`Graph of the document, ${counted(count, "node")}`} onKeyDown=${press}>
      <g aria-hidden="true">${graph.edges.map((/** @type {any} */ edge) => html`<path class="edge" d=${pathOf(edge.points)} />`)}
        ${graph.lanes.map((/** @type {any} */ lane) => html`<line class="lane" x1="0" x2=${graph.width} y1=${lane.line} y2=${lane.line} />
          <text class="lane-name" x=${lane.x} y=${lane.y}>${lane.stage}</text>`)}</g>
      ${graph.cards.map((/** @type {any} */ card, /** @type {number} */ at) => html`<${PlanCard} key=${card.id} card=${card} at=${at}
        wrong=${firstOf(card, wrong)} line=${lines.get(card.id)} stop=${card.id === stop} onFocus=${focus} onOpen=${onOpen} />`)}
    </svg></div>
    <div class="tools"><span class="joined"><button class="b square" type="button" aria-label="Smaller" onClick=${() => zoom(0.8)}>−</button>
      <button class="b" type="button" onClick=${() => setScale(0)}>Fit</button>
      <button class="b square" type="button" aria-label="Larger" onClick=${() => zoom(1.25)}>+</button></span></div></div>`;
}

/**
 * @param {{card: any, at: number, wrong?: Wrong, line?: number, stop: boolean, onFocus: (id: string) => void,
 *   onOpen: (line: number) => void}} props
 */
function PlanCard({ card, at, wrong, line, stop, onFocus, onOpen }) {
  const { x, y, width, height } = card;
  const count = card.members?.length ?? 1;
  const name = count > 1 ? stackName(card.id, count, MOST_ID) : cutToFit(card.id, MOST_ID);
  const sub = wrong ? `${wrong.line ? `line ${wrong.line}: ` : ""}${wrong.code.replaceAll("_", " ")}` : card.map ? `${card.handler}, each item` : card.handler;
  const go = () => { if (line) onOpen(line); };
  return html`<g class=${`node ${wrong ? "is-failed" : "is-plan"}`} data-at=${at} role="button" tabindex=${stop ? 0 : -1}
      aria-label=${`${card.id}, ${sub}${line ? `, line ${line}` : ""}`} onClick=${go} onFocus=${() => onFocus(card.id)}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); go(); } }}>
    <title>${card.id}</title>
    ${card.condition && html`<text class="condition" x=${card.condition.x} y=${card.condition.y}><title>${card.condition.whole}</title>${card.condition.text}</text>`}
    ${(count > 1 || card.map) && html`<rect class="behind" x=${x + 5} y=${y - 6} width=${width - 10} height=${height} rx="6" />`}
    <rect class="ring" x=${x - 3} y=${y - 3} width=${width + 6} height=${height + 6} rx="8" />
    <rect class="box" x=${x} y=${y} width=${width} height=${height} rx="6" />
    ${standsForRun(card) && html`<rect class="inner-box" x=${x + 3} y=${y + 3} width=${width - 6} height=${height - 6} rx="4" />`}
    ${wrong && html`<rect class="mark" x=${x} y=${y} width="3" height=${height} rx="1.5" /><use href="#i-failed" x=${x + 11} y=${y + 13} width="14" height="14" />`}
    <text class="id" x=${x + (wrong ? 32 : 12)} y=${y + 17}>${name}</text>
    <text class="sub" x=${x + (wrong ? 32 : 12)} y=${y + 32}>${wrong ? cutEnd(sub, MOST_SUB - 4) : cutToFit(sub, MOST_SUB)}</text></g>`;
}

/** @param {string} said @param {number} most */
const cutEnd = (said, most) => said.length > most ? `${said.slice(0, most - 1)}…` : said;

/**
 * @param {any} card
 * @param {Map<string, Wrong>} wrong
 */
function firstOf(card, wrong) {
  for (const id of card.members ?? [card.id]) if (wrong.has(id)) return wrong.get(id);
  return undefined;
}

/** @param {number[][]} points A line with round corners. */
export function pathOf(points) {
  let path = `M${points[0][0]} ${points[0][1]}`;
  for (let at = 1; at < points.length; at += 1) {
    const [x, y] = points[at];
    const next = points[at + 1];
    if (!next) {
      path += `L${x} ${y}`;
      continue;
    }
    const [fromX, fromY] = points[at - 1];
    const round = Math.min(CORNER, Math.hypot(x - fromX, y - fromY) / 2, Math.hypot(next[0] - x, next[1] - y) / 2);
    path += `L${x - Math.sign(x - fromX) * round} ${y - Math.sign(y - fromY) * round}`
      + `Q${x} ${y} ${x + Math.sign(next[0] - x) * round} ${y + Math.sign(next[1] - y) * round}`;
  }
  return path;
}

/**
 * Where an arrow key leads: along an edge, or to the next card beside.
 * @param {any} graph
 * @param {string} id
 * @param {string} key
 */
function neighbour(graph, id, key) {
  const down = graph.direction === "down";
  const [back, on, left, right] = down ? ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"] : ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
  if (key === on) return graph.edges.find((/** @type {any} */ edge) => edge.source === id)?.target;
  if (key === back) return graph.edges.find((/** @type {any} */ edge) => edge.target === id)?.source;
  if (key !== left && key !== right) return undefined;
  const here = graph.cards.find((/** @type {any} */ card) => card.id === id);
  const [layer, along] = down ? ["y", "x"] : ["x", "y"];
  const beside = graph.cards.filter((/** @type {any} */ card) => card[layer] === here[layer])
    .sort((/** @type {any} */ one, /** @type {any} */ other) => one[along] - other[along]);
  return beside[beside.indexOf(here) + (key === right ? 1 : -1)]?.id;
}
