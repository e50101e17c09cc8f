// The words around the cards of a picture: their conditions, the names of the lanes.
import { element } from "./shapes.js";

/** @param {import("./picture.js").Picture} picture */
export function wordsAround(picture) {
  const words = element("g", { "aria-hidden": "true", class: "words" });
  for (const { condition } of picture.cards) {
    if (!condition) continue;
    const text = element("text", { class: "condition", x: condition.x, y: condition.y });
    text.textContent = condition.text;
    words.append(text);
  }
  for (const lane of picture.lanes) {
    const name = element("text", { class: "lane-name", x: lane.x, y: lane.y });
    name.textContent = lane.stage;
    words.append(element("path", { class: "lane", d: `M-12 ${lane.line}H${picture.width + 12}` }), name);
  }
  return words;
}
