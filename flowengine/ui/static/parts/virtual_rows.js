// Long lists: only the rows in sight are there, from 200 on.
import { useLayoutEffect, useRef, useState } from "../vendor/preact.js";

const ALL_BELOW = 200;
const AROUND = 12;

/**
 * Which rows of a list are to be there. `box` is the element that scrolls; rows are of one height.
 * @param {number} count
 * @param {number} height of a row, in px
 * @param {number} [above] px of other content above the rows
 */
export function useRowsInSight(count, height, above = 0) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [[first, last], show] = useState(/** @type {[number, number]} */ ([0, 2 * AROUND]));
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    let asked = 0;
    const look = () => {
      asked = 0;
      const top = Math.max(0, element.scrollTop - above);
      const from = Math.max(0, Math.floor(top / height) - AROUND);
      const to = Math.ceil((top + element.clientHeight) / height) + AROUND;
      show((now) => (Math.abs(now[0] - from) < AROUND / 3 && Math.abs(now[1] - to) < AROUND / 3 && now[0] <= from + AROUND ? now : [from, to]));
    };
    const soon = () => { if (!asked) asked = requestAnimationFrame(look); };
    element.addEventListener("scroll", soon, { passive: true });
    const sizes = new ResizeObserver(soon);
    sizes.observe(element);
    look();
    return () => { cancelAnimationFrame(asked); element.removeEventListener("scroll", soon); sizes.disconnect(); };
  }, [height, above]);
  if (count < ALL_BELOW) return { box, first: 0, last: count };
  const end = Math.min(count, last);
  return { box, first: Math.max(0, Math.min(first, end - 1)), last: end };
}

/**
 * Rows that are not drawn anew as long as what they are made of is the same. `make` gives the row of a key.
 * @returns {(key: string, from: Record<string, any>, make: () => any) => any}
 */
export function useDrawnOnce() {
  const [drawn] = useState(() => /** @type {Map<string, {from: Record<string, any>, row: any}>} */ (new Map()));
  return (key, from, make) => {
    const old = drawn.get(key);
    if (old && Object.keys(from).every((name) => old.from[name] === from[name])) return old.row;
    if (drawn.size > 500) drawn.clear();
    const row = make();
    drawn.set(key, { from, row });
    return row;
  };
}

/**
 * Set the place of an element, which the policy allows a script but no attribute.
 * @param {Partial<Record<"top" | "left" | "width" | "height" | "--names", number>>} px
 */
export const placed = (px) => (/** @type {HTMLElement | SVGElement | null} */ element) => {
  if (element) for (const [name, value] of Object.entries(px)) element.style.setProperty(name, `${value}px`);
};
