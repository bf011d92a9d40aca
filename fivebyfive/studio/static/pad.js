/** The pad: strokes of a pointer or of the arrow keys, and what they are as a picture. */

import { shape } from "./dom.js";

export const SIDE = 280;
const STEP = { false: 10, true: 2 }; // of the arrow keys, without and with Shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PAUSE = 300; // ms from the end of a stroke to reading: another stroke may follow

const path = ({ points }) => `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;

export class Pad {
  #strokes = [];
  #pen = { x: SIDE / 2, y: SIDE / 2, down: false };
  #pointer = null;
  #timer = 0;

  /**
   * `width`: the input that has the pen's width; `begin()`: the strokes change; `read()`: the pen has been up for a
   * while; `forget()`: everything is to be removed; `say(text)`: what the pen does.
   */
  constructor(root, width, { begin, read, forget, say }) {
    Object.assign(this, { root, width, begin, read, forget, say });
    this.strokes = root.querySelector("svg g");
    this.marker = root.querySelector("svg circle");
    this.picture = root.querySelector("canvas").getContext("2d");
    root.addEventListener("pointerdown", (event) => this.#down(event));
    root.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"]) root.addEventListener(kind, (event) => this.#up(event));
    root.addEventListener("keydown", (event) => this.#key(event));
    this.#draw();
  }

  get empty() { return this.#strokes.length === 0; }

  /** Removes everything. */
  clear() {
    this.#strokes = [];
    this.#pen.down = false;
    this.show(null);
  }

  /** Removes the last stroke, and reads what is left. */
  undo() {
    this.#strokes.pop();
    if (this.empty) return this.forget();
    this.#draw();
    this.begin();
    this.#readSoon();
  }

  /** Shows a picture (anything a canvas can draw) in place of strokes; null: nothing. */
  show(image) {
    clearTimeout(this.#timer);
    this.picture.clearRect(0, 0, SIDE, SIDE);
    if (image) {
      this.#strokes = [];
      const scale = SIDE / Math.max(image.width, image.height);
      const [width, height] = [image.width * scale, image.height * scale];
      this.picture.imageSmoothingEnabled = scale < 1;
      this.picture.drawImage(image, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
    }
    this.root.classList.toggle("pictured", Boolean(image));
    this.#draw();
  }

  /** The strokes as a PNG, black on white. */
  png() {
    clearTimeout(this.#timer);
    const canvas = new OffscreenCanvas(SIDE, SIDE);
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, SIDE, SIDE);
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.#strokes) {
      context.lineWidth = stroke.width;
      context.stroke(new Path2D(path(stroke)));
    }
    return canvas.convertToBlob();
  }

  #draw() {
    const lines = this.#strokes.map((stroke) => shape("path", { d: path(stroke), "stroke-width": stroke.width }));
    this.strokes.replaceChildren(...lines);
    this.marker.setAttribute("cx", this.#pen.x);
    this.marker.setAttribute("cy", this.#pen.y);
    this.marker.classList.toggle("down", this.#pen.down);
    this.root.classList.toggle("empty", this.empty);
  }

  #start(x, y) {
    clearTimeout(this.#timer);
    if (this.empty) this.show(null);
    this.#strokes.push({ points: [[x, y], [x, y]], width: Number(this.width.value) }); // twice: a dot has a length, too
    this.begin();
  }

  #extend(x, y) {
    this.#strokes.at(-1).points.push([x, y]);
  }

  #readSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.read, PAUSE);
  }

  #point(event) {
    const box = this.root.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  }

  #down(event) {
    if (this.#pointer !== null || event.button !== 0) return;
    this.#pointer = event.pointerId;
    this.root.setPointerCapture(event.pointerId);
    this.#start(...this.#point(event));
    this.#draw();
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const all = event.getCoalescedEvents?.() ?? [];
    for (const one of all.length ? all : [event]) this.#extend(...this.#point(one));
    this.#draw();
  }

  #up(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    this.#readSoon();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, shiftKey } = event;
    const pen = this.#pen;
    if (key in ARROWS) {
      const [x, y] = ARROWS[key].map((sign) => sign * STEP[shiftKey]);
      const inside = (value) => Math.min(SIDE, Math.max(0, value));
      [pen.x, pen.y] = [inside(pen.x + x), inside(pen.y + y)];
      if (pen.down) this.#extend(pen.x, pen.y);
    } else if (key === " ") {
      pen.down = !pen.down;
      if (pen.down) this.#start(pen.x, pen.y);
      else this.#readSoon();
      this.say(pen.down ? "Pen down" : "Pen up");
    } else if (key === "Enter") {
      pen.down = false;
      this.read();
    } else if (key === "Backspace") {
      this.undo();
    } else if (key === "Escape") {
      this.forget();
    } else return;
    event.preventDefault();
    this.#draw();
  }
}
