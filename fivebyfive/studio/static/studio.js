/** The page: a digit from the pad, a picture or the test set goes to one machine, or to two side by side. */

import { bytes, get, json, post } from "./api.js";
import { count, element } from "./dom.js";
import { Pad, SIDE } from "./pad.js";
import { Panel } from "./panel.js";

const find = (id) => document.getElementById(id);
const MEMORY = "fivebyfive studio"; // of the browser: choices outlive a reload, pictures don't
const MB = 1 << 20;

const remembered = (() => {
  try { return JSON.parse(localStorage.getItem(MEMORY)) ?? {}; } catch { return {}; }
})();
const remember = (more) => {
  Object.assign(remembered, more);
  try { localStorage.setItem(MEMORY, JSON.stringify(remembered)); } catch { /* a browser that keeps nothing */ }
};

// Messages: all in one place; what begins next removes them.

const report = (text) => {
  const shown = [...find("problems").children].some((one) => one.firstChild.textContent === text);
  if (shown) return;
  const close = element("button", { type: "button", ariaLabel: "Dismiss the message" }, "×");
  const line = element("p", {}, element("span", {}, text), close);
  close.addEventListener("click", () => line.remove());
  find("problems").append(line);
};

// Light and dark.

const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (remembered.theme ?? (system.matches ? "dark" : "light")) === "dark";
const showTheme = () => {
  if (remembered.theme) document.documentElement.dataset.theme = remembered.theme;
  find("theme").textContent = isDark() ? "Light" : "Dark";
  find("theme").ariaLabel = isDark() ? "Use light colours" : "Use dark colours";
};
find("theme").addEventListener("click", () => {
  remember({ theme: isDark() ? "light" : "dark" });
  showTheme();
});
system.addEventListener("change", showTheme);
showTheme();

// The digit that is shown, and the machines that read it.

let choices = null;
let panels = [];
let digit = null;
let turn = 0; // only the last digit's result is announced

const readAll = async (some = panels) => {
  const mine = ++turn;
  find("problems").replaceChildren();
  find("announcement").textContent = "";
  const sentences = await Promise.all(some.map((panel) => panel.show(digit)));
  if (mine === turn) find("announcement").textContent = sentences.filter(Boolean).join("\n");
};

const take = (next, about = "") => {
  digit = next;
  find("about").textContent = about;
  return readAll();
};

const pad = new Pad(find("pad"), find("pen"), {
  begin: () => {
    turn++;
    panels.forEach((panel) => panel.stop());
    find("about").textContent = find("announcement").textContent = "";
  },
  read: readPad,
  forget,
  say: (text) => { find("about").textContent = text; },
});

async function readPad() {
  if (!pad.empty) return take({ body: await pad.png(), type: "image/png" });
  if (digit) return readAll();
  report("There is nothing to read yet. Draw a digit on the pad, or take one.");
}

find("read").addEventListener("click", readPad);
find("undo").addEventListener("click", () => pad.undo());
find("clear").addEventListener("click", forget);

function forget() {
  pad.clear();
  pad.begin();
  take(null);
}

// Pictures and checkpoints of one's own.

const fits = (file, limit) => {
  const large = count(Math.ceil(file.size / MB));
  if (file.size > limit) report(`${file.name} has ${large} MB. Give a file of at most ${count(limit / MB)} MB.`);
  return file.size <= limit;
};

async function takePicture(file) {
  find("problems").replaceChildren();
  if (!fits(file, choices.limits.picture)) return;
  pad.begin();
  pad.clear();
  createImageBitmap(file).then((image) => pad.show(image), () => {}); // the server's reader knows kinds that it doesn't
  await take({ body: file, type: file.type.startsWith("image/") ? file.type : "image/unknown" }, file.name);
}

async function upload(file, panel) {
  find("problems").replaceChildren();
  if (!fits(file, choices.limits.checkpoint)) return false;
  try {
    const checkpoint = await (await post("/api/checkpoints", { body: file, type: "application/octet-stream" })).json();
    choices.checkpoints = [...choices.checkpoints.filter(({ name }) => name !== checkpoint.name), checkpoint];
    for (const one of panels) one.offer({ ...one.choice, ...(one === panel && { checkpoint: checkpoint.name }) });
    return true;
  } catch (error) {
    report(error.message);
    return false;
  }
}

async function takeFile(file) {
  if (!file) return;
  if (!file.name.endsWith(".npz")) await takePicture(file);
  else if (await upload(file, panels[0])) changed(panels[0]);
}

find("picture").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = ""; // the same file may be chosen again
  takeFile(file);
});
document.addEventListener("paste", (event) => takeFile(event.clipboardData.files[0]));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  find("pad").classList.add("target");
});
document.addEventListener("dragleave", () => find("pad").classList.remove("target"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  find("pad").classList.remove("target");
  takeFile(event.dataTransfer.files[0]);
});

async function takeSample(index) {
  find("problems").replaceChildren();
  pad.begin();
  pad.clear();
  try {
    const { pixels, label } = await get(`/api/samples/${index}`);
    const grey = bytes(pixels);
    const side = Math.sqrt(grey.length);
    const image = new ImageData(side, side);
    grey.forEach((value, n) => image.data.set([value, value, value, 255], 4 * n));
    pad.show(await createImageBitmap(image));
    await take({ ...json({ sample: index }) }, `MNIST test image ${count(index)}, labelled ${label}`);
  } catch (error) {
    report(error.message);
  }
}

find("sample").addEventListener("submit", (event) => {
  event.preventDefault();
  takeSample(Number(event.target.elements.index.value));
});
find("sample").elements.random.addEventListener("click", () => {
  find("sample").elements.index.value = Math.floor(Math.random() * choices.samples);
  find("sample").requestSubmit();
});

// Machines.

const changed = (panel) => {
  remember({ machines: panels.map((one) => one.choice) });
  readAll([panel]);
};

function addPanel(choice) {
  const hooks = { changed: () => changed(panel), beside: () => beside(panel), report, upload };
  const panel = new Panel(choices, choice, hooks);
  panels.push(panel);
  find("machines").append(panel.root);
  return panel;
}

/** One machine becomes two, or two become one without `panel`. */
function beside(panel) {
  if (panels.length > 1) {
    panel.stop();
    panel.root.remove();
    panels = panels.filter((one) => one !== panel);
  } else {
    readAll([addPanel(panel.choice)]);
  }
  arrange();
  remember({ machines: panels.map((one) => one.choice) });
}

function arrange() {
  const two = panels.length > 1;
  document.body.classList.toggle("two", two);
  for (const panel of panels) panel.find(".beside").textContent = two ? "Remove" : "Compare two machines";
}

const clocks = [find("clock"), find("clock-number")];
for (const clock of clocks) {
  clock.addEventListener("input", () => {
    for (const other of clocks) other.value = clock.value;
    remember({ clock: clock.value });
    panels.forEach((panel) => panel.facts());
  });
}

try {
  choices = await get("/api/choices");
  find("version").textContent = `fivebyfive ${choices.version}`;
  find("sample").elements.index.max = choices.samples - 1;
  for (const clock of clocks) clock.value = remembered.clock ?? choices.clock_mhz;
  const opened = JSON.stringify(choices.machine);
  if (remembered.opened !== opened) remember({ opened, machines: [choices.machine] }); // the command line's
  remembered.machines.forEach(addPanel);
  arrange();
  await readAll();
} catch (error) {
  report(error.message);
}
