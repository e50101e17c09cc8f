// The whole of a large graph, small, with what is seen of it as a frame: press or drag to look elsewhere.
import { element } from "./shapes.js";
import { centred, seen } from "./view.js";

const WIDE = 180;
const HIGH = 120;

export class Minimap {
  /** @param {HTMLElement} box @param {import("./stage.js").Stage} stage */
  constructor(box, stage) {
    this.stage = stage;
    const { width, height } = stage.picture;
    const scale = Math.min(WIDE / width, HIGH / height);
    this.svg = element("svg", {
      class: "minimap over-stage", viewBox: `0 0 ${width} ${height}`, width: Math.max(40, width * scale), height: Math.max(20, height * scale),
      preserveAspectRatio: "none", "aria-hidden": "true",
    });
    this.blocks = stage.lines.blocks.map((path) => element("path", { class: path.getAttribute("class") ?? "" }));
    this.frame = element("rect", { class: "frame" });
    this.svg.append(...this.blocks, this.frame);
    box.append(this.svg);
    this.svg.addEventListener("pointerdown", (event) => {
      this.svg.setPointerCapture(event.pointerId);
      this.#look(event);
    });
    this.svg.addEventListener("pointermove", (event) => { if (event.buttons) this.#look(event); });
    this.draw();
    this.move();
  }

  /** The nodes look otherwise. */
  draw() {
    const paths = this.stage.lines.blockPaths();
    this.blocks.forEach((path, index) => {
      path.setAttribute("d", paths[index]);
      path.setAttribute("class", this.stage.lines.blocks[index].getAttribute("class") ?? "");
    });
  }

  /** One looks from elsewhere. */
  move() {
    const { x, y, width, height } = seen(this.stage.view, this.stage.size);
    for (const [name, value] of Object.entries({ x, y, width, height })) this.frame.setAttribute(name, String(value));
  }

  remove() {
    this.svg.remove();
  }

  /** @param {PointerEvent} event */
  #look(event) {
    const box = this.svg.getBoundingClientRect();
    const { picture, view, size } = this.stage;
    const x = ((event.clientX - box.left) / box.width) * picture.width;
    const y = ((event.clientY - box.top) / box.height) * picture.height;
    const to = centred(view, size, { x, y, width: 0, height: 0 });
    this.stage.pan(to.x - view.x, to.y - view.y);
  }
}
