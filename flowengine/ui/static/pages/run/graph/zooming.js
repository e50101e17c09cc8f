// While one zooms, each frame draws all text in another size, which is most of its work: small text waits for the rest.

const REST_MS = 150;

export class Zooming {
  /** @param {SVGElement} svg */
  constructor(svg) {
    this.svg = svg;
    this.scale = 0;
    this.rest = 0;
  }

  /** @param {number} scale The view is shown at this scale now. */
  shown(scale) {
    const before = this.scale;
    this.scale = scale;
    if (!before || before === scale) return;
    this.svg.classList.add("zooming");
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.svg.classList.remove("zooming"), REST_MS);
  }

  stop() {
    clearTimeout(this.rest);
  }
}
