// One card of the graph: a button, whose inside is drawn only where it is seen.
import { effect, untracked } from "../../../vendor/preact.js";
import { exactNow, now } from "../../../app/clock.js";
import { cutToFit, stackName } from "../../../app/format.js";
import { standsForRun } from "../../../parts/words/stands_for_run.js";
import { hasInside } from "../inside/opened.js";
import { select, shownStatuses } from "../selection.js";
import { saidOf, saidOfStack } from "./card_words.js";
import { element, segments } from "./shapes.js";

/**
 * @typedef {import("./picture.js").Card} Box
 * @typedef {import("./view.js").Level} Level
 * @typedef {object} Around what a card needs of the graph that it stands in
 * @property {(card: GraphCard) => void} changed its look is another: edges and blocks follow
 * @property {(card: Box) => void} openStack
 * @property {(card: Box) => void} openGroup
 */

export class GraphCard {
  /**
   * @param {Box} box
   * @param {import("../run_store.js").RunStore} store
   * @param {Around} around
   */
  constructor(box, store, around) {
    this.box = box;
    this.store = store;
    this.around = around;
    this.ids = box.members ?? [box.id];
    /** @type {Level | ""} */
    this.drawn = "";
    this.selected = false;
    /** Whether the filter by status shows it. */
    this.wanted = true;
    this.said = this.#read();
    this.g = element("g", { role: "button", tabindex: "-1" });
    this.g.dataset.card = box.id;
    this.stop = effect(() => this.#follow());
  }

  /** @param {boolean} again Select what it stands for; pressed again, open what is in it. */
  press(again) {
    if (this.box.members) this.around.openStack(this.box);
    else if (again && this.store.some(this.ids).some(hasInside)) this.around.openGroup(this.box);
    else select(this.box.id);
  }

  /** @param {Level | ""} level Draw its inside, for this distance; "": it is out of sight. */
  draw(level) {
    if (this.drawn === level) return;
    this.g.replaceChildren(...(level === "" ? [] : level === "far" ? this.#ring() : this.#inside(level)));
    this.drawn = level;
    this.#paint();
  }

  /** @param {boolean} is */
  mark(is) {
    this.selected = is;
    if (is) this.g.setAttribute("aria-pressed", "true");
    else this.g.removeAttribute("aria-pressed");
    this.#paint();
  }

  #read() {
    const nodes = this.store.some(this.ids);
    if (this.box.members) return saidOfStack(nodes);
    return saidOf(nodes[0], exactNow(), (id) => this.store.nodes.get(id)?.peek());
  }

  /** A node has changed, or the time of one that runs. */
  #follow() {
    const before = this.said;
    const wanted = this.wanted;
    this.said = this.#read();
    if (this.said.ticks && now.value) { /* again in a second */ }
    const shown = shownStatuses.value;
    this.wanted = !shown.size || this.ids.some((id) => shown.has(this.store.node(id)?.status ?? ""));
    untracked(() => {
      this.#paint();
      if (before.look !== this.said.look || before.after !== this.said.after || wanted !== this.wanted) this.around.changed(this);
    });
  }

  #paint() {
    const { look, icon, after, tolerated, line, name, counts } = this.said;
    const more = `${after ? " after" : ""}${tolerated ? " tolerated" : ""}${this.selected ? " selected" : ""}${this.wanted ? "" : " dim"}`;
    put(this.g, "class", `node is-${look}${more}`);
    put(this.g, "aria-label", name);
    if (!this.drawn || this.drawn === "far") return;
    put(/** @type {Element} */ (this.use), "href", `#i-${icon}`);
    if (this.line && this.line.textContent !== line) this.line.textContent = line;
    this.bar?.replaceChildren(...(counts ? segments(counts, this.box.width - 22) : []));
  }

  #ring() {
    const { x, y, width, height } = this.box;
    return [element("rect", { class: "ring", x: x - 3.5, y: y - 3.5, width: width + 7, height: height + 7, rx: 9 })];
  }

  /** @param {Level} level */
  #inside(level) {
    const { x, y, width, height, id, handler, members, map, condition } = this.box;
    const many = Boolean(members || map);
    const near = level === "near";
    const size = near ? 14 : 20;
    const text = element("text", { class: near ? "id" : "id large", x: x + (near ? 33 : 38), y: y + (near ? 17 : height / 2 + 7) });
    const most = near ? 21 : 13;
    text.textContent = members ? stackName(id, members.length, most, !near) : cutToFit(id, most);
    const title = element("title");
    title.textContent = `${members ? `${members.length} nodes: ${id} to ${members[members.length - 1]}` : id}\n${handler}${map ? ", once for each item" : ""}${standsForRun(this.box) ? ": press twice to open it" : ""}`
      + (condition ? `\n${condition.whole}` : "");
    this.use = element("use", { x: x + (near ? 11 : 10), y: y + (near ? 13 : (height - size) / 2), width: size, height: size });
    this.line = near ? element("text", { class: "sub", x: x + 33, y: y + 31 }) : null;
    this.bar = near && many ? element("g", { transform: `translate(${x + 11} ${y + 39})` }) : null;
    const behind = many && element("path", { class: "behind", d: `M${x + 6} ${y}v-3.5q0-2 2-2h${width - 16}q2 0 2 2V${y}` });
    const inside = element("g", { class: "inside-card" });
    inside.append(.../** @type {SVGElement[]} */ ([
      title, behind,
      element("rect", { class: "box", x, y, width, height, rx: 6 }),
      standsForRun(this.box) && element("rect", { class: "inner-box", x: x + 3, y: y + 3, width: width - 6, height: height - 6, rx: 4 }),
      element("path", { class: "mark", d: `M${x} ${y + 6}a6 6 0 0 1 3-5.2v${height - 1.6}a6 6 0 0 1-3-5.2z` }),
      this.use, text, this.line, this.bar,
    ].filter(Boolean)));
    return [inside, ...this.#ring()];
  }
}

/** @param {Element} where @param {string} name @param {string} value */
function put(where, name, value) {
  if (where.getAttribute(name) !== value) where.setAttribute(name, value);
}
