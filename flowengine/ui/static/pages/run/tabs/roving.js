// One tab stop for many rows: the arrows move it, and the row that is chosen elsewhere comes into sight.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../../vendor/preact.js";

/**
 * @param {{box: import("../../../vendor/preact.js").Ref<HTMLElement | null>, rows: {node: {id: string}}[], above: number, chosen: string,
 *   height: number, onSide?: (by: number) => void}} asked `above`: px of the box that a sticky head takes; `height`: of a row
 */
export function useRoving({ box, rows, above, chosen, height, onSide }) {
  const [id, setId] = useState("");
  const wanted = useRef("");
  const found = useMemo(() => rows.findIndex(({ node }) => node.id === (id || chosen)), [rows, id || chosen]);
  const active = found < 0 ? 0 : found;

  const show = (/** @type {number} */ index) => {
    const element = box.current;
    if (!element) return;
    const top = index * height;
    const room = element.clientHeight - above - height;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top > element.scrollTop + room) element.scrollTop = top - room;
  };
  const go = (/** @type {number} */ index) => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
    if (!row) return;
    wanted.current = row.node.id;
    setId(row.node.id);
    show(rows.indexOf(row));
  };
  useEffect(() => {
    const index = rows.findIndex(({ node }) => node.id === chosen);
    if (index < 0) return;
    setId(chosen);
    show(index);
  }, [chosen]);
  // A row that was out of sight is there a frame later.
  useLayoutEffect(() => {
    if (!wanted.current) return;
    const element = [...(box.current?.querySelectorAll("[data-node]") ?? [])].find((each) => each.getAttribute("data-node") === wanted.current);
    if (element instanceof HTMLElement) {
      wanted.current = "";
      element.focus({ preventScroll: true });
    }
  });

  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (!(event.target instanceof HTMLElement) || !event.target.dataset.node) return;
    const page = Math.max(1, Math.floor((box.current?.clientHeight ?? 0) / height) - 2);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length }[event.key];
    const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) go(active + by);
    else if (side && onSide) onSide(side);
    else return;
    event.preventDefault();
  };
  return { active, move: (/** @type {number} */ by) => go(active + by), onKeyDown };
}
