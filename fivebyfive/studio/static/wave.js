/** A piece of waveform: a row a signal, bits as lines, buses as hexagons with their values. */

import { count, element, shape } from "./dom.js";

const [HIGH, LOW] = [4, 20]; // y of a bit that is set, and of one that is not
const MIDDLE = (HIGH + LOW) / 2;
const CHAR = 6.6; // width of a digit in a hexagon

const hexadecimal = (value) => (typeof value === "string" || value < 10 ? String(value) : `0x${value.toString(16)}`);

const bit = (pieces) => {
  const level = ({ value }) => (Number(value) ? HIGH : LOW);
  return [`M${pieces[0].left} ${level(pieces[0])}` + pieces.map((piece) => `V${level(piece)}H${piece.right}`).join("")];
};

const bus = (pieces) => pieces.map(({ left, right }) => {
  const slope = Math.min(3, (right - left) / 2);
  const [from, to] = [left + slope, right - slope];
  return `M${left} ${MIDDLE}L${from} ${HIGH}H${to}L${right} ${MIDDLE}L${to} ${LOW}H${from}Z`;
});

export class Wave {
  /** `root` holds the axis and the list. */
  constructor(root) {
    this.root = root;
    this.axis = root.querySelector(".axis");
    this.list = root.querySelector("ul");
    new ResizeObserver(() => this.#draw()).observe(root);
  }

  /** The rows of a machine's signals. */
  begin(signals) {
    this.piece = null;
    const named = signals.toSorted((one, other) => Boolean(other.values) - Boolean(one.values)); // states come first
    this.rows = new Map(named.map((signal) => {
      const value = element("span", { className: "value" });
      const picture = shape("svg", { "aria-hidden": "true" });
      const row = element("li", {}, element("span", { className: "name" }, signal.name), value, picture);
      row.dataset.unit = signal.unit;
      return [signal.name, { signal, row, value, picture }];
    }));
    this.list.replaceChildren(...[...this.rows.values()].map(({ row }) => row));
    this.axis.replaceChildren();
  }

  /** Shows a piece of the server's: {first, last, signals}, with a mark at `cycle`. */
  show(piece, cycle) {
    Object.assign(this, { piece, cycle });
    this.#draw();
  }

  #draw() {
    if (!this.piece) return;
    const { first, last, signals } = this.piece;
    const any = this.rows.values().next().value.picture;
    const width = any.clientWidth || any.parentNode.clientWidth;
    const x = (cycle) => ((cycle - first) / (last + 1 - first)) * width;
    this.axis.replaceChildren(...[first, this.cycle, last].map((at) => element("span", {}, count(at))));
    for (const { name, changes } of signals) {
      const found = this.rows.get(name);
      if (!found) continue;
      const { signal, row, value, picture } = found;
      const text = (raw) => signal.values?.[raw] ?? hexadecimal(raw);
      const end = (n) => x(changes[n + 1]?.[0] ?? last + 1);
      const pieces = changes.map(([from, raw], n) => ({ left: x(from), right: end(n), value: raw }));
      const isBit = signal.bits === 1 && !signal.values;
      const mark = x(this.cycle + 0.5);
      const fits = (one) => !isBit && one.right - one.left > text(one.value).length * CHAR + 8;
      const texts = pieces.filter(fits).map((one) => {
        const made = shape("text", { x: (one.left + one.right) / 2, y: MIDDLE + 4, "text-anchor": "middle" });
        made.append(text(one.value));
        return made;
      });
      picture.replaceChildren(
        shape("path", { d: (isBit ? bit : bus)(pieces).join(""), class: isBit ? "bit" : "bus" }), ...texts,
        shape("path", { d: `M${mark} -2V26`, class: "mark" }),
      );
      value.textContent = text(changes.findLast(([from]) => from <= this.cycle)?.[1] ?? changes[0][1]);
      row.classList.toggle("still", changes.length === 1);
    }
  }
}
