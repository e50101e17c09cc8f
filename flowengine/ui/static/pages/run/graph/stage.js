// The graph on its stage: draws what is seen of a picture, from where one looks at it.
import { effect, untracked } from "../../../vendor/preact.js";
import { selected } from "../selection.js";
import { GraphCard } from "./card.js";
import { CatchingUp, REST_MS } from "./catching_up.js";
import { listen } from "./gestures.js";
import { Lines } from "./lines.js";
import { walk } from "./picture.js";
import { element } from "./shapes.js";
import { Sight } from "./sight.js";
import { grown, holds, levelOf, meet } from "./view.js";
import { wordsAround } from "./words_around.js";

/** @typedef {import("./picture.js").Card} Card */

/** So much more than what is seen is drawn, on each side, for what comes next. */
const AROUND = 0.15;

export class Stage {
  /**
   * @param {HTMLElement} box
   * @param {import("./picture.js").Picture} picture
   * @param {import("../run_store.js").RunStore} store
   * @param {{openStack: (card: Card) => void, openGroup: (card: Card) => void, onView: () => void, onChange: () => void, name: string}} around
   * @param {import("./view.js").View | null} view from before
   */
  constructor(box, picture, store, around, view) {
    this.box = box;
    this.picture = picture;
    this.store = store;
    this.around = around;
    this.follows = false;
    this.few = false;
    const size = { width: box.clientWidth, height: box.clientHeight };
    /** @type {Map<string, GraphCard>} */
    this.cards = new Map();
    this.catchingUp = new CatchingUp((card) => this.#levelOf(card), () => this.#drawLines());
    for (const card of picture.cards) {
      if (store.nodes.has(card.id)) this.cards.set(card.id, new GraphCard(card, store, { changed: () => this.#soon(), openStack: around.openStack, openGroup: around.openGroup }));
    }
    this.lines = new Lines(picture, this.cards);
    this.svg = element("svg", { class: "graph", role: "group", "aria-label": around.name });
    // From afar it lies over the cards that are hidden but not yet taken away: none of them is pointed at.
    const cover = element("rect", { class: "cover", x: 0, y: 0, width: picture.width, height: picture.height });
    this.svg.append(this.lines.g, wordsAround(picture), ...[...this.cards.values()].map((card) => card.g), cover);
    box.prepend(this.svg);
    this.sight = new Sight(picture, size, view, () => this.#first(), () => this.#apply());
    this.current = this.cards.get((this.picture.byId.get(selected.peek()) ?? this.#first() ?? picture.cards[0])?.id ?? "");
    this.current?.g.setAttribute("tabindex", "0");
    this.sight.show();
    this.catchingUp.draw();
    const stops = [
      listen(box, { pan: (x, y) => this.pan(x, y), zoom: (by, x, y) => this.zoom(by, x, y), press: (event) => this.#press(event) }),
      effect(() => this.#select(selected.value)),
    ];
    const onKey = (/** @type {KeyboardEvent} */ event) => this.#key(event);
    const onFocus = (/** @type {FocusEvent} */ event) => this.#focused(event);
    this.svg.addEventListener("keydown", /** @type {any} */ (onKey));
    this.svg.addEventListener("focusin", /** @type {any} */ (onFocus));
    const sized = new ResizeObserver(() => this.#resize());
    sized.observe(box);
    this.stop = () => {
      sized.disconnect();
      for (const each of stops) each();
      for (const card of this.cards.values()) card.stop();
      this.sight.stop();
      this.catchingUp.stop();
      clearTimeout(this.resting);
      this.svg.remove();
    };
  }

  get view() {
    return this.sight.view;
  }

  get size() {
    return this.sight.size;
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.sight.pan(dx, dy);
    this.follow(false);
  }

  /** @param {number} factor @param {number} [x] @param {number} [y] */
  zoom(factor, x = this.size.width / 2, y = this.size.height / 2) {
    this.sight.zoom(factor, x, y);
  }

  fit() {
    this.sight.fit();
  }

  /** @param {boolean} is Keep what runs in sight. */
  follow(is) {
    this.follows = is;
    if (is) this.#keepUp();
    this.around.onView();
  }

  /** @param {string} id Bring a node into sight. */
  reveal(id) {
    const card = this.picture.byId.get(id);
    if (card) this.sight.reveal(card);
  }

  /** @param {string} id Put the focus on a node's card. */
  focus(id) {
    this.cards.get(this.picture.byId.get(id)?.id ?? "")?.g.focus({ preventScroll: true });
  }

  /** What matters most: the first failure, else what runs or waits. */
  #first() {
    const cards = [...this.cards.values()];
    const of = (/** @type {string} */ look) => cards.find((card) => card.said.look === look && !card.said.after && !card.said.tolerated)?.box;
    return this.picture.byId.get(selected.peek()) ?? of("failed") ?? of("running") ?? of("waiting") ?? null;
  }

  #apply() {
    this.catchingUp.moved();
    const { x, y, scale } = this.view;
    this.svg.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    const level = levelOf(scale);
    const within = this.window && holds(this.window, this.sight.seen);
    const few = scale < 0.15;
    const blocks = (level === "far") !== (this.level === "far");
    clearTimeout(this.resting);
    if (!within || blocks || few !== this.few) this.#draw();
    else if (level === "far") this.lines.rescale(scale);
    // Between near and less near only cards differ, which stay as they are while the view moves.
    else if (level !== this.level) this.resting = setTimeout(() => this.#draw(), REST_MS);
    this.few = few;
    this.around.onView();
  }

  /** Draw what is seen, and some around it: the edges now, the cards a few a frame, from the middle on. */
  #draw() {
    this.level = levelOf(this.view.scale);
    this.window = grown(this.sight.seen, AROUND);
    this.svg.setAttribute("class", `graph ${this.level}`);
    this.catchingUp.look(this.cards.values(), this.sight.seen);
    this.catchingUp.draw((card) => card.selected || card === this.current);
    this.#drawLines();
  }

  /** @param {GraphCard} card @returns {import("./view.js").Level | ""} how it is to be drawn; "" for not at all */
  #levelOf(card) {
    const level = /** @type {import("./view.js").Level} */ (this.level);
    if (level === "far") return card.selected || card === this.current ? level : "";
    return meet(card.box, this.window ?? this.sight.seen) ? level : "";
  }

  #drawLines() {
    const chosen = new Set([...this.cards.values()].filter((card) => card.selected).map((card) => card.box.id));
    // Where a card is missing its block stands in for it.
    this.lines.draw(this.level ?? "near", this.view.scale, this.window ?? this.sight.seen, chosen, this.catchingUp.isMissing());
  }

  /** Some cards look otherwise: the edges and the blocks follow, once a frame. */
  #soon() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.#drawLines();
      if (this.follows) this.#keepUp();
      this.around.onChange();
    });
  }

  #keepUp() {
    this.sight.keepUp([...this.cards.values()].filter((card) => card.said.look === "running").map((card) => card.box));
  }

  #resize() {
    const size = { width: this.box.clientWidth, height: this.box.clientHeight };
    if (size.width === this.size.width && size.height === this.size.height) return;
    this.sight.resize(size);
    untracked(() => { if (selected.value) this.reveal(selected.value); });
  }

  /** @param {string} id */
  #select(id) {
    untracked(() => {
      const card = this.cards.get(this.picture.byId.get(id)?.id ?? "");
      for (const each of this.cards.values()) if (each.selected !== (each === card)) each.mark(each === card);
      if (card) {
        this.#makeCurrent(card);
        this.reveal(id);
      }
      if (this.window) this.#draw();
    });
  }

  /** @param {GraphCard} card The one that Tab leads to. */
  #makeCurrent(card) {
    this.current?.g.setAttribute("tabindex", "-1");
    card.g.setAttribute("tabindex", "0");
    this.current = card;
  }

  /** @param {FocusEvent} event */
  #focused(event) {
    const card = this.cards.get(/** @type {SVGElement} */ (event.target).dataset.card ?? "");
    if (!card) return;
    this.#makeCurrent(card);
    if (this.level === "far") this.#draw();
    this.reveal(card.box.id);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const card = this.cards.get(/** @type {SVGElement} */ (event.target).dataset.card ?? "");
    if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      card.press(card.selected);
    }
    const next = walk(this.picture, card.box, event.key);
    if (!next) return;
    event.preventDefault();
    this.focus(next.id);
  }

  /** @param {MouseEvent} event */
  #press(event) {
    const pressed = /** @type {Element} */ (event.target).closest?.("[data-card]");
    const id = pressed instanceof SVGElement ? pressed.dataset.card ?? "" : this.#under(event)?.id ?? "";
    const card = this.cards.get(id);
    card?.press(event.detail === 2);
    card?.g.focus({ preventScroll: true });
  }

  /**
   * The card at a place, where none is drawn as such.
   * @param {MouseEvent} event
   * @returns {Card | undefined}
   */
  #under(event) {
    const box = this.box.getBoundingClientRect();
    const x = (event.clientX - box.left - this.view.x) / this.view.scale;
    const y = (event.clientY - box.top - this.view.y) / this.view.scale;
    const near = 8 / this.view.scale;
    const spot = { x: x - near / 2, y: y - near / 2, width: near, height: near };
    return this.picture.cards.find((card) => meet(card, { x, y, width: 0, height: 0 })) ?? this.picture.cards.find((card) => meet(card, spot));
  }
}
