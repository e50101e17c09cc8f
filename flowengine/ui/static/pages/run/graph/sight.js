// From where one looks at a picture: there at once, or gliding.
import { centred, fit, held, holds, opening, seen, zoomed } from "./view.js";

/**
 * @typedef {import("./view.js").View} View
 * @typedef {import("./view.js").Size} Size
 * @typedef {import("./view.js").Box} Box
 */

const MOVE_MS = 160;

export class Sight {
  /**
   * @param {import("./picture.js").Picture} picture
   * @param {Size} size of the stage
   * @param {View | null} view from before
   * @param {() => Box | null} first what matters most, for an opening view
   * @param {() => void} onMove
   */
  constructor(picture, size, view, first, onMove) {
    this.picture = picture;
    this.size = size;
    this.first = first;
    this.onMove = onMove;
    this.touched = view !== null;
    /** @type {View} */
    this.view = view ?? this.#opening();
  }

  /** What matters most; where no card would be seen, the first one: the middle of the top may be empty. */
  #opening() {
    const view = opening(this.picture, this.size, this.first());
    const within = seen(view, this.size);
    if (this.picture.cards.some((card) => holds(within, card))) return view;
    return opening(this.picture, this.size, this.picture.cards[0] ?? null);
  }

  /** What is seen of the picture. */
  get seen() {
    return seen(this.view, this.size);
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.#go({ ...this.view, x: this.view.x + dx, y: this.view.y + dy });
  }

  /** @param {number} factor @param {number} x @param {number} y */
  zoom(factor, x, y) {
    this.#go(zoomed(this.view, factor, x, y, Math.min(0.05, fit(this.picture, this.size).scale / 1.5)));
  }

  fit() {
    this.#glide(fit(this.picture, this.size));
  }

  /** @param {Box} box Bring it into sight. */
  reveal(box) {
    if (holds(this.seen, box)) return;
    const readable = this.view.scale < 0.35 ? { ...this.view, scale: 0.8 } : this.view;
    this.#glide(held(centred(readable, this.size, box), this.picture, this.size));
  }

  /** @param {Box[]} boxes Keep one of them in sight. */
  keepUp(boxes) {
    if (!boxes.length || boxes.some((box) => holds(this.seen, box))) return;
    this.#glide(held(centred(this.view, this.size, boxes[0]), this.picture, this.size));
  }

  /** @param {Size} size */
  resize(size) {
    this.size = size;
    if (!this.touched) this.view = this.#opening();
    this.show();
  }

  /** Show what one looks at, now. */
  show() {
    cancelAnimationFrame(this.asked ?? 0);
    this.asked = 0;
    this.onMove();
  }

  stop() {
    cancelAnimationFrame(this.moving ?? 0);
  }

  /** @param {View} view */
  #go(view) {
    cancelAnimationFrame(this.moving ?? 0);
    this.touched = true;
    this.view = held(view, this.picture, this.size);
    this.asked ||= requestAnimationFrame(() => this.show());
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
      this.show();
      if (done < 1) this.moving = requestAnimationFrame(step);
    };
    this.moving = requestAnimationFrame(step);
  }
}
