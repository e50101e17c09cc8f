// How a pointer, a wheel and two fingers move a view.

const DRAG_FROM = 4;

/**
 * @typedef {object} Moved
 * @property {(dx: number, dy: number) => void} pan
 * @property {(factor: number, x: number, y: number) => void} zoom about a point of the stage
 * @property {(event: MouseEvent) => void} press a click that was no drag
 */

/**
 * @param {HTMLElement} stage
 * @param {Moved} moved
 * @returns {() => void} stops it
 */
export function listen(stage, moved) {
  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  let dragged = false;
  let walked = 0;

  const within = (/** @type {MouseEvent} */ event) => {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const onWheel = (/** @type {WheelEvent} */ event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    if (event.shiftKey) return moved.pan(-(event.deltaX || event.deltaY) * lines, 0);
    const { x, y } = within(event);
    const by = Math.max(-120, Math.min(120, event.deltaY * lines)) * (event.ctrlKey ? 4 : 1);
    moved.zoom(Math.exp(-by / 500), x, y);
    if (event.deltaX) moved.pan(-event.deltaX * lines, 0);
  };
  const onDown = (/** @type {PointerEvent} */ event) => {
    if (event.button || /** @type {Element} */ (event.target).closest(".over-stage")) return;
    if (!fingers.size) [dragged, walked] = [false, 0];
    fingers.set(event.pointerId, within(event));
  };
  const onMove = (/** @type {PointerEvent} */ event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = within(event);
    const [dx, dy] = [now.x - before.x, now.y - before.y];
    walked += Math.abs(dx) + Math.abs(dy);
    if (!dragged && walked < DRAG_FROM) return;
    if (!dragged) stage.setPointerCapture(event.pointerId);
    dragged = true;
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const apart = Math.hypot(before.x - other.x, before.y - other.y) || 1;
      moved.zoom(Math.hypot(now.x - other.x, now.y - other.y) / apart, (now.x + other.x) / 2, (now.y + other.y) / 2);
      moved.pan(dx / 2, dy / 2);
    } else {
      moved.pan(dx, dy);
    }
    fingers.set(event.pointerId, now);
  };
  const onUp = (/** @type {PointerEvent} */ event) => { fingers.delete(event.pointerId); };
  const onClick = (/** @type {MouseEvent} */ event) => {
    if (/** @type {Element} */ (event.target).closest(".over-stage")) return;
    if (!dragged) moved.press(event);
    dragged = false;
  };
  stage.addEventListener("wheel", onWheel, { passive: false });
  stage.addEventListener("pointerdown", onDown);
  stage.addEventListener("pointermove", onMove);
  stage.addEventListener("pointerup", onUp);
  stage.addEventListener("pointercancel", onUp);
  stage.addEventListener("click", onClick);
  return () => {
    stage.removeEventListener("wheel", onWheel);
    stage.removeEventListener("pointerdown", onDown);
    stage.removeEventListener("pointermove", onMove);
    stage.removeEventListener("pointerup", onUp);
    stage.removeEventListener("pointercancel", onUp);
    stage.removeEventListener("click", onClick);
  };
}
