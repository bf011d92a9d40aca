/** Cycle by cycle: what is busy, the controller's state and a piece of waveform at the cycle under the slider. */

import { get } from "./api.js";
import { count, drawing, element, shape } from "./dom.js";
import { Wave } from "./wave.js";

const PLAY = 15000; // ms for a whole digit
const STILL = 750; // ms between steps where motion is to be reduced
const REST = 200; // ms that the slider rests before a waveform is fetched
const reduced = matchMedia("(prefers-reduced-motion: reduce)");

/** Number of elements of a sorted list that are at most `value`. */
const upTo = (list, value, key) => {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (key(list[middle]) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
};

export class Inside {
  #run = null;
  #fetching = new AbortController();
  #timer = 0;
  #frame = 0;

  /** `moved(cycle)`: another cycle is shown; `report(text)`: something went wrong. */
  constructor(root, { moved, report }) {
    Object.assign(this, { root, moved, report });
    const find = (name) => root.querySelector(name);
    this.slider = find(".timeline input");
    this.lanes = find(".lanes");
    this.number = find(".at");
    this.state = find(".state");
    this.diagram = find(".diagram");
    this.playing = find(".play");
    this.span = find(".span");
    this.wave = new Wave(find(".wave"));
    this.slider.addEventListener("input", () => this.#seek(Number(this.slider.value)));
    this.number.addEventListener("change", () => this.#seek(Number(this.number.value)));
    this.lanes.addEventListener("pointerdown", (event) => this.#pick(event));
    this.playing.addEventListener("click", () => (this.#frame ? this.#stop() : this.#play()));
    find(".back").addEventListener("click", () => this.#seek(this.#states(-1)));
    find(".on").addEventListener("click", () => this.#seek(this.#states(0)));
    this.span.addEventListener("change", () => this.#fetchSoon());
    find(".changing").addEventListener("change", ({ target }) => {
      find(".wave").classList.toggle("changing", target.checked);
    });
  }

  /** The units and signals of a machine. */
  begin(machine) {
    this.machine = machine;
    this.diagram.replaceChildren(drawing(machine.diagram));
    this.units = machine.units.map(({ name, title }) => {
      const lane = shape("svg", { viewBox: "0 0 1000 10", preserveAspectRatio: "none" });
      const row = element("p", {}, element("span", {}, title), lane);
      return { name, title, lane, row, block: this.diagram.querySelector(`[data-unit="${CSS.escape(name)}"]`) };
    });
    this.lanes.replaceChildren(element("i", {}), ...this.units.map(({ row }) => row));
    this.wave.begin(machine.signals);
    this.clear();
  }

  /** Forgets the digit. */
  clear() {
    this.#stop();
    this.#halt();
    this.#run = null;
    this.root.hidden = true;
  }

  /** What was busy when, of a digit. */
  show(activity) {
    this.#run = activity;
    const last = activity.cycles - 1;
    this.slider.max = this.number.max = last;
    const x = (cycle) => ((cycle / activity.cycles) * 1000).toFixed(2);
    for (const { name, lane } of this.units) {
      const busy = activity.units[name] ?? [];
      const bars = busy.map(([from, to]) => `M${x(from)} 0H${x(to + 1)}V10H${x(from)}Z`);
      lane.replaceChildren(shape("path", { d: bars.join("") }));
    }
    this.root.hidden = false;
    this.#seek(last);
  }

  #seek(cycle) {
    this.#stop();
    this.#go(cycle);
    this.#fetchSoon();
  }

  #go(wanted) {
    const { cycles, states, units } = this.#run;
    const cycle = Math.min(cycles - 1, Math.max(0, Math.round(wanted) || 0));
    this.cycle = cycle;
    const state = this.machine.states[states[upTo(states, cycle, ([at]) => at) - 1]?.[1]] ?? "";
    const busy = this.units.filter(({ name }) => {
      const list = units[name] ?? [];
      return list[upTo(list, cycle, ([from]) => from) - 1]?.[1] >= cycle;
    });
    this.slider.value = this.number.value = cycle;
    this.slider.setAttribute("aria-valuetext", `cycle ${count(cycle)}, ${state}`);
    this.state.textContent = state;
    this.lanes.style.setProperty("--at", cycle / Math.max(1, cycles - 1));
    for (const unit of this.units) {
      for (const node of [unit.row, unit.block]) node?.classList.toggle("busy", busy.includes(unit));
    }
    const titles = busy.map(({ title }) => title).join(", ") || "nothing";
    this.diagram.ariaLabel = `Block diagram; busy in cycle ${count(cycle)}: ${titles}`;
    this.moved(cycle < cycles - 1 ? cycle : Infinity);
  }

  /** The cycle of the next change of state, or of the one before. */
  #states(step) {
    const { states } = this.#run;
    const now = upTo(states, this.cycle, ([at]) => at) - 1;
    const inside = step && states[now][0] < this.cycle ? now : now + (step || 1);
    return states[Math.min(states.length - 1, Math.max(0, inside))][0];
  }

  #pick(event) {
    const box = this.units[0].lane.getBoundingClientRect();
    if (event.clientX >= box.left) this.#seek(((event.clientX - box.left) / box.width) * this.#run.cycles);
  }

  #play() {
    const { cycles } = this.#run;
    const from = this.cycle >= cycles - 1 ? 0 : this.cycle;
    const begin = performance.now();
    this.playing.textContent = "Pause";
    this.#halt();
    const step = (now) => {
      const passed = reduced.matches ? Math.floor((now - begin) / STILL) * STILL : Math.max(0, now - begin);
      const cycle = from + (passed / PLAY) * cycles;
      this.#go(cycle);
      if (cycle < cycles - 1) this.#frame = requestAnimationFrame(step);
      else this.#seek(cycles - 1);
    };
    this.#frame = requestAnimationFrame(step);
  }

  #stop() {
    if (!this.#frame) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.playing.textContent = "Play";
    this.#fetchSoon();
  }

  /** No waveform is on its way any more. */
  #halt() {
    clearTimeout(this.#timer);
    this.#fetching.abort();
    this.wave.root.classList.add("old");
  }

  #fetchSoon() {
    this.#halt();
    this.#timer = setTimeout(() => this.#fetch(), REST);
  }

  async #fetch() {
    const { signal } = (this.#fetching = new AbortController());
    const { cycle } = this;
    const path = `/api/runs/${this.#run.run}/wave?cycle=${cycle}&span=${this.span.value}`;
    try {
      this.wave.show(await get(path, signal), cycle);
      this.wave.root.classList.remove("old");
    } catch (error) {
      if (!signal.aborted) this.report(error.message);
    }
  }
}
