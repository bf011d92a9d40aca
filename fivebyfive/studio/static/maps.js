/** A layer's values as a picture: a grid of its channels, a pixel a value, filled as they come. */

import { count, element } from "./dom.js";

const WIDE = 96; // pixels across a grid; studio.css shows each as a whole number of the screen's, as many in all layers

/** Colours of bytes: of codes, and of pixels. */
const mix = (from, to, part) => from.map((value, n) => Math.round(value + (to[n] - value) * part));
const DARK = [16, 22, 30];
const [BLUE, ORANGE, PALE] = [[92, 176, 255], [238, 138, 40], [255, 246, 224]];
const codeColor = (code) => {
  const strength = Math.sqrt(Math.abs(code) / 128);
  if (code < 0) return mix(DARK, BLUE, strength);
  return strength < 0.6 ? mix(DARK, ORANGE, strength / 0.6) : mix(ORANGE, PALE, (strength - 0.6) / 0.4);
};
const palette = (color) => Uint32Array.from({ length: 256 }, (_, byte) => {
  const [red, green, blue] = color(byte);
  return (255 << 24) | (blue << 16) | (green << 8) | red;
});
const CODES = palette((byte) => codeColor((byte << 24) >> 24));
const PIXELS = palette((byte) => mix(DARK, [255, 255, 255], byte / 255));

export class LayerMap {
  #pieces = [];

  /** `layer`: {name, shape}; `pixels`: its values are pixels 0..255, not codes. */
  constructor({ name, shape }, pixels = false) {
    const [channels, rows, columns] = [...shape, 1, 1];
    this.shape = { channels, rows, columns };
    const single = rows * columns === 1; // of an fc layer: larger, without gaps
    this.zoom = single ? 2 : 1;
    this.gap = single ? 0 : 1;
    this.pitch = columns * this.zoom + this.gap;
    this.down = rows * this.zoom + this.gap;
    this.across = Math.min(channels, Math.max(1, Math.floor((WIDE + this.gap) / this.pitch)));
    this.colors = pixels ? PIXELS : CODES;
    this.name = name;
    this.values = pixels ? new Uint8Array(channels * rows * columns) : new Int8Array(channels * rows * columns);
    const width = this.across * this.pitch - this.gap;
    const height = Math.ceil(channels / this.across) * this.down - this.gap;
    this.canvas = element("canvas", { width, height });
    this.canvas.style.setProperty("--units", width);
    this.canvas.role = "img";
    this.size = rows * columns > 1 ? `${channels} × ${rows} × ${columns}` : `${channels} values`;
    this.state = element("span", { className: "badge" });
    this.readout = element("span", { className: "readout" });
    const caption = [element("strong", {}, name), ` ${this.size} `, this.state, this.readout];
    this.root = element("figure", {}, element("figcaption", {}, ...caption), this.canvas);
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.canvas.addEventListener("pointerleave", () => { this.readout.textContent = ""; });
    this.clear();
  }

  clear() {
    this.#pieces = [];
    this.seen = 0;
    this.show(0);
    this.judge("");
  }

  /** Values from the running simulation: `first` is the place of the first one, in the order channel, row, column. */
  put(first, values, cycle) {
    this.values.set(values, first);
    this.#pieces.push({ first, last: first + values.length, cycle });
    this.seen += values.length;
    this.show(Infinity);
    if (this.seen < this.values.length) this.judge("", `${count(this.seen)} of ${count(this.values.length)}`);
  }

  /** Shows what had come out by a cycle. */
  show(cycle) {
    const { width, height } = this.canvas;
    const image = new ImageData(width, height);
    const data = new Uint32Array(image.data.buffer);
    const { rows, columns } = this.shape;
    const { zoom, pitch, down, across, colors, values } = this;
    for (const piece of this.#pieces) {
      if (piece.cycle > cycle) continue;
      for (let place = piece.first; place < piece.last; place++) {
        const channel = Math.floor(place / (rows * columns));
        const top = Math.floor(channel / across) * down + (Math.floor(place / columns) % rows) * zoom;
        const left = (channel % across) * pitch + (place % columns) * zoom;
        const color = colors[values[place] & 255];
        for (let y = 0; y < zoom; y++) data.fill(color, (top + y) * width + left, (top + y) * width + left + zoom);
      }
    }
    this.canvas.getContext("2d").putImageData(image, 0, 0);
  }

  /** What is known of the layer: `kind` is "equal", "different" or "". */
  judge(kind, text = "") {
    this.state.dataset.kind = kind;
    this.state.textContent = text;
    this.canvas.ariaLabel = `${this.name}, ${this.size}${text && `, ${text}`}`;
  }

  #point(event) {
    const { rows, columns } = this.shape;
    const box = this.canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.canvas.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * this.canvas.height);
    const [column, row] = [Math.floor((x % this.pitch) / this.zoom), Math.floor((y % this.down) / this.zoom)];
    const channel = Math.floor(y / this.down) * this.across + Math.floor(x / this.pitch);
    const place = (channel * rows + row) * columns + column;
    const inside = column < columns && row < rows;
    const known = inside && this.#pieces.some(({ first, last }) => first <= place && place < last);
    const where = rows * columns > 1 ? `channel ${channel}, row ${row}, column ${column}` : `value ${channel}`;
    this.readout.textContent = known ? `${where}: ${count(this.values[place])}` : "";
  }
}
