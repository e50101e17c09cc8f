// The graph on its stage: draws what is seen of a picture, from where one looks at it.
import { effect, untracked } from "../../../vendor/preact.js";
import { selected } from "../selection.js";
import { GraphCard } from "./card.js";
import { CatchingUp } from "./catching_up.js";
import { listen } from "./gestures.js";
import { Lines } from "./lines.js";
import { walk } from "./picture.js";
import { element } from "./shapes.js";
import { centred, fit, grown, held, holds, levelOf, meet, opening, seen, zoomed } from "./view.js";

/**
 * @typedef {import("./view.js").View} View
 * @typedef {import("./picture.js").Card} Card
 */

/** So much more than what is seen is drawn, on each side, for what comes next. */
const AROUND = 0.35;
const MOVE_MS = 160;

export class Stage {
  /**
   * @param {HTMLElement} box
   * @param {import("./picture.js").Picture} picture
   * @param {import("../run_store.js").RunStore} store
   * @param {{openStack: (card: Card) => void, openGroup: (card: Card) => void, onView: () => void, onChange: () => void, name: string}} around
   * @param {View | null} view from before
   */
  constructor(box, picture, store, around, view) {
    this.box = box;
    this.picture = picture;
    this.store = store;
    this.around = around;
    this.touched = view !== null;
    this.follows = false;
    this.few = false;
    this.size = { width: box.clientWidth, height: box.clientHeight };
    /** @type {Map<string, GraphCard>} */
    this.cards = new Map();
    this.catchingUp = new CatchingUp((card) => this.#levelOf(card), () => this.#drawLines());
    for (const card of picture.cards) {
      if (store.nodes.has(card.id)) this.cards.set(card.id, new GraphCard(card, store, { changed: () => this.#soon(), openStack: around.openStack, openGroup: around.openGroup }));
    }
    this.lines = new Lines(picture, this.cards);
    this.svg = element("svg", { class: "graph", role: "group", "aria-label": around.name });
    this.svg.append(this.lines.g, ...this.#words(), ...[...this.cards.values()].map((card) => card.g));
    box.prepend(this.svg);
    /** @type {View} */
    this.view = view ?? opening(picture, this.size, this.#first());
    this.current = this.cards.get((this.picture.byId.get(selected.peek()) ?? this.#first() ?? picture.cards[0])?.id ?? "");
    this.current?.g.setAttribute("tabindex", "0");
    this.#apply();
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
      cancelAnimationFrame(this.moving ?? 0);
      this.catchingUp.stop();
      this.svg.remove();
    };
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.#go({ ...this.view, x: this.view.x + dx, y: this.view.y + dy });
    this.follow(false);
  }

  /** @param {number} factor @param {number} [x] @param {number} [y] */
  zoom(factor, x = this.size.width / 2, y = this.size.height / 2) {
    this.#go(zoomed(this.view, factor, x, y, Math.min(0.05, fit(this.picture, this.size).scale / 1.5)));
  }

  fit() {
    this.#glide(fit(this.picture, this.size));
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
    if (!card || holds(seen(this.view, this.size), card)) return;
    const readable = this.view.scale < 0.35 ? { ...this.view, scale: 0.8 } : this.view;
    this.#glide(held(centred(readable, this.size, card), this.picture, this.size));
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

  /** The words around cards: their conditions, the names of the lanes. */
  #words() {
    const words = element("g", { "aria-hidden": "true", class: "words" });
    for (const { condition } of this.picture.cards) {
      if (!condition) continue;
      const text = element("text", { class: "condition", x: condition.x, y: condition.y });
      text.textContent = condition.text;
      words.append(text);
    }
    for (const lane of this.picture.lanes) {
      const name = element("text", { class: "lane-name", x: lane.x, y: lane.y });
      name.textContent = lane.stage;
      words.append(element("path", { class: "lane", d: `M-12 ${lane.line}H${this.picture.width + 12}` }), name);
    }
    return [words];
  }

  /** @param {View} view */
  #go(view) {
    cancelAnimationFrame(this.moving ?? 0);
    this.touched = true;
    this.view = held(view, this.picture, this.size);
    this.#applySoon();
  }

  /** @param {View} to */
  #glide(to) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches || document.hidden) return this.#go(to);
    cancelAnimationFrame(this.moving ?? 0);
    const from = this.view;
    const began = performance.now();
    this.touched = true;
    const step = (/** @type {number} */ time) => {
      const done = Math.max(0, Math.min(1, (time - began) / MOVE_MS));
      const eased = done * (2 - done);
      const between = (/** @type {number} */ a, /** @type {number} */ b) => a + (b - a) * eased;
      this.view = { x: between(from.x, to.x), y: between(from.y, to.y), scale: between(from.scale, to.scale) };
      this.#apply();
      if (done < 1) this.moving = requestAnimationFrame(step);
    };
    this.moving = requestAnimationFrame(step);
  }

  #applySoon() {
    if (this.applying) return;
    this.applying = requestAnimationFrame(() => this.#apply());
  }

  #apply() {
    cancelAnimationFrame(this.applying ?? 0);
    this.applying = 0;
    this.catchingUp.moved();
    const { x, y, scale } = this.view;
    this.svg.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    const level = levelOf(scale);
    const within = this.window && holds(this.window, seen(this.view, this.size));
    const few = scale < 0.15;
    if (!within || level !== this.level || few !== this.few) this.#draw();
    else if (level === "far") this.lines.rescale(scale);
    this.few = few;
    this.around.onView();
  }

  /** Draw what is seen, and some around it: the edges now, the cards a few a frame, from the middle on. */
  #draw() {
    this.level = levelOf(this.view.scale);
    this.window = grown(seen(this.view, this.size), AROUND);
    this.svg.setAttribute("class", `graph ${this.level}`);
    this.catchingUp.look(this.cards.values(), seen(this.view, this.size));
    this.catchingUp.draw((card) => card.selected || card === this.current);
    this.#drawLines();
  }

  /** @param {GraphCard} card @returns {import("./view.js").Level | ""} how it is to be drawn; "" for not at all */
  #levelOf(card) {
    const level = /** @type {import("./view.js").Level} */ (this.level);
    if (level === "far") return card.selected || card === this.current ? level : "";
    return meet(card.box, this.window ?? seen(this.view, this.size)) ? level : "";
  }

  #drawLines() {
    const chosen = new Set([...this.cards.values()].filter((card) => card.selected).map((card) => card.box.id));
    // Where a card is missing its block stands in for it.
    this.lines.draw(this.level ?? "near", this.view.scale, this.window ?? seen(this.view, this.size), chosen, this.catchingUp.isMissing());
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
    const running = [...this.cards.values()].filter((card) => card.said.look === "running").map((card) => card.box);
    const sight = seen(this.view, this.size);
    if (running.length && !running.some((card) => holds(sight, card))) {
      this.#glide(held(centred(this.view, this.size, running[0]), this.picture, this.size));
    }
  }

  #resize() {
    const size = { width: this.box.clientWidth, height: this.box.clientHeight };
    if (size.width === this.size.width && size.height === this.size.height) return;
    this.size = size;
    if (!this.touched) this.view = opening(this.picture, size, this.#first());
    this.#apply();
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
