/** A machine: which one it is, and a digit that goes through it. */

import { bytes, call, events, get, json, post } from "./api.js";
import { count, element } from "./dom.js";
import { Inside } from "./inside.js";
import { LayerMap } from "./maps.js";

const SHOWN = 20; // bars of logits; of more classes the largest

export class Panel {
  #work = new AbortController();
  #machine = null;
  #result = null;

  /**
   * `choices`: what the server offers; `choice`: {checkpoint, conv_pes, fc_rows, early_fc}. `changed()`: another machine
   * was chosen; `beside()`: the button for a second machine; `report(text)`: something went wrong; `upload(file)`: an
   * own file, true where the server took it.
   */
  constructor(choices, choice, { changed, beside, report, upload }) {
    Object.assign(this, { choices, report });
    this.root = document.getElementById("machine").content.cloneNode(true).firstElementChild;
    this.form = this.find("form");
    this.find(".beside").addEventListener("click", beside);
    this.form.addEventListener("change", async (event) => {
      if (event.target.type === "file") {
        const [file] = event.target.files;
        event.target.value = "";
        if (!(await upload(file, this))) return;
      }
      changed();
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.offer(choice);
    this.inside = new Inside(this.find(".inside"), {
      moved: (cycle) => this.maps?.forEach((map, name) => name && map.show(cycle)),
      report,
    });
  }

  find(selector) { return this.root.querySelector(selector); }

  get choice() {
    const { checkpoint, conv_pes, fc_rows, early_fc } = this.form.elements;
    const [pes, rows] = [conv_pes, fc_rows].map(({ value }) => Number(value));
    return { checkpoint: checkpoint.value, conv_pes: pes, fc_rows: rows, early_fc: early_fc.checked };
  }

  /** Fills the form: what there is to choose, and a choice. */
  offer(choice) {
    const { checkpoints, sizes } = this.choices;
    const { checkpoint, conv_pes, fc_rows, early_fc } = this.form.elements;
    const fill = (select, options, wanted) => {
      select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
      select.value = wanted;
      if (select.selectedIndex < 0) select.selectedIndex = 0;
    };
    const preset = checkpoints.find((one) => one.default) ?? checkpoints[0];
    const known = checkpoints.some(({ name }) => name === choice?.checkpoint);
    fill(checkpoint, checkpoints.map(({ name, title }) => [name, title]), known ? choice.checkpoint : preset.name);
    fill(conv_pes, sizes.conv_pes.map((size) => [size, size]), choice?.conv_pes);
    fill(fc_rows, sizes.fc_rows.map((size) => [size, size]), choice?.fc_rows);
    early_fc.checked = Boolean(choice?.early_fc);
  }

  /** Stops what is under way. */
  stop() {
    this.#work.abort();
    this.find(".build").hidden = true;
    this.root.classList.remove("reading");
  }

  /** Makes the machine ready and reads a digit, {body, type} or null. Returns what to announce; null: nothing. */
  async show(digit) {
    this.stop();
    const { signal } = (this.#work = new AbortController());
    try {
      await this.#prepare(signal);
      this.#clear();
      if (!digit) return null;
      this.root.classList.add("reading");
      await this.#read(digit, signal);
      return this.#sentence();
    } catch (error) {
      if (signal.aborted) return null;
      this.#class("?", "not read");
      this.report(error.message);
      return null;
    } finally {
      if (!signal.aborted) this.stop();
    }
  }

  async #prepare(signal) {
    const { machine: id } = await (await post("/api/machines", json(this.choice), signal)).json();
    let ready = null;
    for await (const { kind, data } of events(await call(`/api/machines/${id}/events`, { signal }))) {
      if (kind === "progress") this.#progress(data);
      if (kind === "ready") ready = data;
      if (ready) break;
    }
    if (!ready) throw new Error("The server closed the connection before the machine was ready. Read the digit again.");
    this.find(".build").hidden = true;
    if (JSON.stringify(ready) !== JSON.stringify(this.#machine)) this.#become(ready);
  }

  #progress({ message, done }) {
    this.#machine = null;
    this.inside.clear();
    this.find("h2").textContent = "A new machine";
    this.find(".build").hidden = false;
    this.find(".build span").textContent = message;
    const bar = this.find("progress");
    if (done === null) bar.removeAttribute("value");
    else bar.value = done;
  }

  #become(machine) {
    this.#machine = machine;
    this.find("h2").textContent = machine.title;
    this.root.ariaLabel = machine.title;
    this.maps = new Map([["", new LayerMap({ name: "input", shape: machine.input }, true)],
      ...machine.layers.map((layer) => [layer.name, new LayerMap(layer)])]);
    const [input, ...layers] = [...this.maps.values()].map(({ root }) => root);
    this.find(".layers").replaceChildren(input, element("div", {}, ...layers));
    this.inside.begin(machine);
  }

  #clear() {
    this.#result = null;
    this.inside.clear();
    for (const map of this.maps.values()) map.clear();
    this.#class("?", "draw a digit");
    this.#verdict("none", "Not compared yet");
    this.find(".remarks").textContent = "";
    this.#logits(Array(this.#machine.classes).fill(0));
    this.facts();
  }

  async #read({ body, type }, signal) {
    this.#class("…", "reading");
    const answer = await post(`/api/machines/${this.#machine.machine}/digits`, { body, type }, signal);
    for await (const { kind, data } of events(answer)) {
      if (kind === "input") {
        this.maps.get("").put(0, bytes(data.pixels), 0);
        this.find(".remarks").textContent = data.remarks.join(" ");
      } else if (kind === "layer") {
        this.maps.get(data.name).put(data.first, new Int8Array(bytes(data.values).buffer), data.cycle);
      } else if (kind === "result") {
        this.#show(data);
      } else if (kind === "activity") {
        this.inside.show(data);
      }
    }
    if (!this.#result) throw new Error("The server closed the connection before the result. Read the digit again.");
  }

  #show(result) {
    this.#result = result;
    this.#class(result.label, `class ${result.class} of ${this.#machine.classes}`);
    if (result.equal) this.#verdict("equal", "Equal to the golden model in every value");
    else this.#verdict("different", `Not equal to the golden model: ${result.difference}`);
    for (const [name, equal] of Object.entries(result.layers_equal)) {
      this.maps.get(name).judge(equal ? "equal" : "different", equal ? "equal" : "not equal");
    }
    this.#logits(result.logits, result.class);
    this.facts();
  }

  #class(label, caption) {
    this.find(".class .label").textContent = label;
    this.find(".class").classList.toggle("long", label.length > 2);
    this.find(".class").classList.toggle("none", !this.#result);
    this.find(".class .caption").textContent = caption;
  }

  #verdict(kind, text) {
    const verdict = this.find(".verdict");
    verdict.dataset.kind = kind;
    verdict.textContent = text;
  }

  #logits(logits, winner) {
    const most = Math.max(1, ...logits.map(Math.abs));
    const order = logits.map((_, index) => index);
    if (order.length > SHOWN) order.sort((a, b) => logits[b] - logits[a]).splice(SHOWN);
    this.find(".logits").style.setProperty("--rows", Math.ceil(order.length / 2));
    this.find(".logits").replaceChildren(...order.map((index) => {
      const value = logits[index];
      const bar = element("i", { className: value < 0 ? "negative" : "" });
      bar.style.setProperty("--part", Math.abs(value) / most);
      const shown = this.#result ? count(value) : "";
      const row = element("li", {}, element("b", {}, this.#machine.labels[index]), bar, element("span", {}, shown));
      row.classList.toggle("winner", index === winner);
      return row;
    }));
  }

  /** Cycles, and the time that they take at the chosen clock. */
  facts() {
    const result = this.#result;
    const mhz = Number(document.getElementById("clock-number").value) || 1;
    const cycles = (number) => (result ? `${count(number)} cycles` : "–");
    const rows = {
      "Whole digit": cycles(result?.total_cycles),
      [`At ${count(mhz)} MHz`]: result ? duration(result.total_cycles / mhz) : "–",
      "Last pixel to result": cycles(result?.cycles.latency),
      "Convolutions": cycles(result?.cycles.conv),
      "Fully connected": cycles(result?.cycles.fc),
      "Simulated in": result ? `${result.seconds.toFixed(2)} s` : "–",
    };
    this.find(".facts").replaceChildren(...Object.entries(rows).map(([name, text]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, text))));
  }

  #sentence() {
    const { label, equal, difference, total_cycles } = this.#result;
    return `${this.#machine.title}: read as ${label}. ` +
      (equal ? "Every value equals the golden model. " : `Not equal to the golden model: ${difference}. `) +
      `${count(total_cycles)} cycles.`;
  }
}

const duration = (microseconds) =>
  microseconds < 1000 ? `${microseconds.toPrecision(3)} µs` : `${(microseconds / 1000).toPrecision(3)} ms`;
