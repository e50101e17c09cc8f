// Cards that are drawn otherwise than they should be catch up, a few in a frame: all at once take the time of several.

/**
 * @typedef {import("./card.js").GraphCard} GraphCard
 * @typedef {import("./view.js").Level} Level
 */

/** While the view moves, cards stay as they are, however near they come, and few are drawn where there are none. */
const CARDS_MOVING = 8;
const CARDS_AT_REST = 24;
/** What has not moved for so long is at rest. */
export const REST_MS = 150;

export class CatchingUp {
  /**
   * @param {(card: GraphCard) => Level | ""} levelOf how a card should be drawn; "" for not at all
   * @param {() => void} onAllThere the last one that was missing is there
   */
  constructor(levelOf, onAllThere) {
    this.levelOf = levelOf;
    this.onAllThere = onAllThere;
    /** @type {GraphCard[]} */
    this.behind = [];
    this.movedAt = 0;
  }

  /** The view has moved. */
  moved() {
    this.movedAt = performance.now();
  }

  /** @param {Iterable<GraphCard>} cards Look which of them are behind. @param {import("./view.js").Box} sight What is in the middle of it comes first. */
  look(cards, sight) {
    const [x, y] = [sight.x + sight.width / 2, sight.y + sight.height / 2];
    const apart = (/** @type {GraphCard} */ { box }) => Math.abs(box.x + box.width / 2 - x) + Math.abs(box.y + box.height / 2 - y);
    this.behind = [...cards].filter((card) => card.drawn !== this.levelOf(card));
    const far = new Map(this.behind.map((card) => [card, apart(card)]));
    this.behind.sort((one, other) => (far.get(one) ?? 0) - (far.get(other) ?? 0));
    this.#goOn();
  }

  /** @param {(card: GraphCard) => boolean} [which] Draw these, or all, at once. @param {number} [most] */
  draw(which = () => true, most = Infinity) {
    const wasMissing = this.isMissing();
    let count = 0;
    this.behind = this.behind.filter((card) => {
      const level = this.levelOf(card);
      if (card.drawn === level) return false;
      if (count >= most || !which(card)) return true;
      card.draw(level);
      count += 1;
      return false;
    });
    if (wasMissing && !this.isMissing()) this.onAllThere();
  }

  /** Whether there are cards of which nothing is drawn. */
  isMissing() {
    return this.behind.some((card) => !card.drawn);
  }

  stop() {
    cancelAnimationFrame(this.asked ?? 0);
  }

  #goOn() {
    if (this.asked || !this.behind.length) return;
    this.asked = requestAnimationFrame((time) => {
      this.asked = 0;
      if (time - this.movedAt < REST_MS) this.draw((card) => !card.drawn, CARDS_MOVING);
      else this.draw(undefined, CARDS_AT_REST);
      this.#goOn();
    });
  }
}
