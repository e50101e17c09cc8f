// The edges of a graph, as a few paths for each look, and the blocks of one that is far away.
import { block, element } from "./shapes.js";
import { FEW_EDGES, meet } from "./view.js";

const EDGES = ["", "passed", "not", "broken", "touches"];
const BLOCKS = ["pending", "skipped", "completed", "queued", "cancelled", "after", "running", "waiting", "failed"];
/** With more consequences of failures than this, their red hides the causes: they are pale then. */
const MANY = 30;
const MOST_PINS = 300;
/** Edges that lie together are one path. A browser draws a picture in pieces and goes through the whole of a path for each that it touches. */
const CELL = { width: 800, height: 200 };
const ENDED = new Set(["completed", "failed"]);

export class Lines {
  /** @param {import("./picture.js").Picture} picture @param {Map<string, import("./card.js").GraphCard>} cards */
  constructor(picture, cards) {
    this.picture = picture;
    this.cards = cards;
    this.edges = EDGES.map((is) => element("g", { class: `edge ${is}` }));
    this.blocks = BLOCKS.map((is) => element("path", { class: classOf(is) }));
    this.pins = element("g");
    this.g = element("g", { "aria-hidden": "true" });
    this.g.append(...this.edges, ...this.blocks, this.pins);
  }

  /**
   * @param {import("./view.js").Level} level
   * @param {number} scale
   * @param {import("./view.js").Box} box what is drawn
   * @param {Set<string>} chosen the cards that are selected
   * @param {boolean} blocks also of cards that are near
   */
  draw(level, scale, box, chosen, blocks) {
    this.#drawEdges(level === "far" && scale < FEW_EDGES, box, chosen);
    for (const edges of this.edges) edges.classList.toggle("thin", level === "far");
    const paths = this.blockPaths(blocks || level === "far");
    this.blocks.forEach((path, index) => put(path, "d", paths[index]));
    this.#drawPins(level === "far", scale);
  }

  /**
   * How large a pin is drawn stays the same, however small the blocks are.
   * @param {number} scale
   */
  rescale(scale) {
    for (const pin of this.pins.children) {
      const { x = "0", y = "0" } = /** @type {SVGElement} */ (pin).dataset;
      pin.setAttribute("transform", `translate(${x} ${y}) scale(${1 / scale})`);
    }
  }

  /**
   * The blocks of all cards, by their look.
   * @param {boolean} [wanted]
   */
  blockPaths(wanted = true) {
    /** @type {Record<string, string>} */
    const paths = {};
    for (const card of wanted ? this.cards.values() : []) {
      const look = card.wanted ? card.said.after ? "after" : card.said.look : "pending";
      paths[look] = (paths[look] ?? "") + block(card.box);
    }
    const pale = (paths.after?.length ?? 0) > 0 && this.#consequences() > MANY;
    this.blocks[BLOCKS.indexOf("after")].setAttribute("class", pale ? "pale" : classOf("after"));
    return BLOCKS.map((is) => paths[is] ?? "");
  }

  #consequences() {
    let count = 0;
    for (const card of this.cards.values()) if (card.said.after) count += 1;
    return count;
  }

  /** @param {boolean} few @param {import("./view.js").Box} box @param {Set<string>} chosen */
  #drawEdges(few, box, chosen) {
    const many = this.#consequences() > MANY;
    /** @type {Record<string, Map<string, string>>} */
    const paths = {};
    for (const line of this.picture.lines) {
      if (!meet(line.box, box)) continue;
      const source = this.cards.get(line.source)?.said;
      const target = this.cards.get(line.target)?.said;
      if (!source || !target) continue;
      let is = lookOf(source, target);
      if (is === "broken" && many) is = few ? "hidden" : "";
      else if (is !== "broken" && (chosen.has(line.source) || chosen.has(line.target))) is = "touches";
      else if (few && is !== "broken") is = "hidden";
      const cells = (paths[is] ??= new Map());
      const cell = cellOf(line.box);
      cells.set(cell, (cells.get(cell) ?? "") + line.path);
    }
    this.edges.forEach((edges, index) => fill(edges, [...paths[EDGES[index]]?.values() ?? []]));
  }

  /** @param {boolean} far @param {number} scale */
  #drawPins(far, scale) {
    const pins = [];
    for (const card of far ? this.cards.values() : []) {
      const { look, after } = card.said;
      if (card.wanted && pins.length < MOST_PINS && ((look === "failed" && !after) || look === "waiting")) pins.push(pinOf(card.box, look));
    }
    this.pins.replaceChildren(...pins);
    this.rescale(scale);
  }
}

/** @param {import("./view.js").Box} box Where the middle of an edge lies. */
function cellOf({ x, y, width, height }) {
  return `${Math.floor((x + width / 2) / CELL.width)} ${Math.floor((y + height / 2) / CELL.height)}`;
}

/** @param {SVGElement} edges @param {string[]} paths What is to be drawn in it. */
function fill(edges, paths) {
  while (edges.childElementCount > paths.length) edges.lastElementChild?.remove();
  while (edges.childElementCount < paths.length) edges.append(element("path"));
  paths.forEach((path, index) => put(edges.children[index], "d", path));
}

/** @param {import("./card_words.js").Said} source @param {import("./card_words.js").Said} target */
function lookOf(source, target) {
  if (target.after && source.look === "failed") return "broken";
  if (source.look === "skipped" || target.look === "skipped") return "not";
  if (ENDED.has(source.look) && (source.look === "completed" || source.tolerated)) return "passed";
  return "";
}

/** @param {string} is */
function classOf(is) {
  if (is === "after") return "is-failed hollow";
  if (is === "skipped") return "is-skipped hollow";
  return `is-${is} fill${is === "completed" ? " calm" : ""}`;
}

/** @param {import("./picture.js").Card} box @param {string} look */
function pinOf(box, look) {
  const size = look === "failed" ? 16 : 12;
  const pin = element("g", { class: `pin is-${look}` });
  pin.dataset.x = String(box.x + box.width / 2);
  pin.dataset.y = String(box.y + box.height / 2);
  pin.append(
    element("circle", { class: "halo", r: size / 2 + 1.5 }),
    element("use", { href: `#i-${look}`, x: -size / 2, y: -size / 2, width: size, height: size }),
  );
  return pin;
}

/** @param {Element} where @param {string} name @param {string} value */
function put(where, name, value) {
  if ((where.getAttribute(name) ?? "") !== value) where.setAttribute(name, value);
}
