// A drawing of the API, made ready to be looked at and walked through: who stands where, and beside whom.

/**
 * @typedef {object} Card as `GET /workflows/{id}/graph` gives it
 * @property {string} id
 * @property {string} handler
 * @property {string} stage
 * @property {number} x
 * @property {number} y
 * @property {number} width
 * @property {number} height
 * @property {{text: string, whole: string, x: number, y: number}} [condition]
 * @property {string[]} [members]
 * @property {boolean} [map] it runs once for each item of a list
 *
 * @typedef {{source: string, target: string, path: string, box: import("./view.js").Box}} Line
 * @typedef {{stage: string, x: number, y: number, line: number}} Lane
 *
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {boolean} down whether its edges lead down, else to the right
 * @property {Card[]} cards
 * @property {Map<string, Card>} byId the card of each node, of a stack's members too
 * @property {Line[]} lines
 * @property {Lane[]} lanes
 * @property {Map<string, string[]>} above the cards that a card depends on
 * @property {Map<string, string[]>} below the cards that depend on a card
 * @property {number} leftOut
 */

const CORNER = 6;

/** @param {any} drawing @returns {Picture} */
export function pictureOf(drawing) {
  /** @type {Map<string, Card>} */
  const byId = new Map();
  for (const card of drawing.cards) for (const id of card.members ?? [card.id]) byId.set(id, card);
  /** @type {Map<string, string[]>} */
  const above = new Map();
  /** @type {Map<string, string[]>} */
  const below = new Map();
  for (const { source, target } of drawing.edges) {
    entry(above, target).push(source);
    entry(below, source).push(target);
  }
  return {
    width: drawing.width,
    height: drawing.height,
    down: drawing.direction === "down",
    cards: drawing.cards,
    byId,
    lines: drawing.edges.map((/** @type {any} */ edge) => ({
      source: edge.source, target: edge.target, path: pathOf(edge.points), box: boxOf(edge.points),
    })),
    lanes: drawing.lanes ?? [],
    above,
    below,
    leftOut: drawing.left_out ?? 0,
  };
}

/**
 * The card that an arrow key leads to: along the edges, and sideways within the layer.
 * @param {Picture} picture
 * @param {Card} from
 * @param {string} key
 * @returns {Card | undefined}
 */
export function walk(picture, from, key) {
  if (key === "Home") return picture.cards[0];
  if (key === "End") return picture.cards[picture.cards.length - 1];
  const along = picture.down ? { ArrowDown: 1, ArrowUp: -1 }[key] : { ArrowRight: 1, ArrowLeft: -1 }[key];
  if (along) {
    const linked = (along > 0 ? picture.below : picture.above).get(from.id) ?? [];
    const cards = linked.map((id) => /** @type {Card} */ (picture.byId.get(id)));
    return nearest(from, cards) ?? nearest(from, picture.cards.filter((card) => ahead(picture, from, card) * along > 0), true);
  }
  const aside = picture.down ? { ArrowRight: 1, ArrowLeft: -1 }[key] : { ArrowDown: 1, ArrowUp: -1 }[key];
  if (!aside) return undefined;
  const layer = picture.cards.filter((card) => ahead(picture, from, card) === 0
    && (picture.down ? card.x - from.x : card.y - from.y) * aside > 0);
  return nearest(from, layer);
}

/**
 * How far a card stands behind another in the direction of the edges; 0 in the same layer.
 * @param {Picture} picture
 * @param {Card} from
 * @param {Card} card
 */
function ahead(picture, from, card) {
  const [start, end] = picture.down ? [from.y, from.y + from.height] : [from.x, from.x + from.width];
  const [first, last] = picture.down ? [card.y, card.y + card.height] : [card.x, card.x + card.width];
  return first >= end ? first - end + 1 : last <= start ? last - start - 1 : 0;
}

/**
 * @param {Card} from
 * @param {Card[]} cards
 * @param {boolean} [onlyClose] not those that edges would lead to from elsewhere
 * @returns {Card | undefined}
 */
function nearest(from, cards, onlyClose) {
  let best;
  let least = onlyClose ? 1e6 : Infinity;
  for (const card of cards) {
    const far = Math.abs(middle(card)[0] - middle(from)[0]) + Math.abs(middle(card)[1] - middle(from)[1]);
    if (card !== from && far < least) [best, least] = [card, far];
  }
  return best;
}

/** @param {Card} card */
const middle = (card) => [card.x + card.width / 2, card.y + card.height / 2];

/**
 * A line through the points, its corners rounded.
 * @param {[number, number][]} points
 */
function pathOf(points) {
  let path = `M${points[0][0]} ${points[0][1]}`;
  for (let index = 1; index < points.length - 1; index += 1) {
    const [x, y] = points[index];
    const [fromX, fromY] = points[index - 1];
    const [toX, toY] = points[index + 1];
    const into = Math.hypot(x - fromX, y - fromY);
    const out = Math.hypot(toX - x, toY - y);
    const radius = Math.min(CORNER, into / 2, out / 2);
    if (!radius) continue;
    path += `L${round(x + ((fromX - x) * radius) / into)} ${round(y + ((fromY - y) * radius) / into)}`
      + `Q${x} ${y} ${round(x + ((toX - x) * radius) / out)} ${round(y + ((toY - y) * radius) / out)}`;
  }
  const [x, y] = points[points.length - 1];
  return `${path}L${x} ${y}`;
}

/** @param {number} value */
const round = (value) => Math.round(value * 10) / 10;

/** @param {[number, number][]} points */
function boxOf(points) {
  const xs = points.map((point) => point[0]);
  const ys = points.map((point) => point[1]);
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}

/** @param {Map<string, string[]>} map @param {string} name */
function entry(map, name) {
  const found = map.get(name) ?? [];
  map.set(name, found);
  return found;
}
