// The grid of this file. Where one looks (axes, tab, open cell, its partner, how, point of the runs) stands in the address
// after "#".
"use strict";
const { fixed, axes, cells } = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const GAIN = 4; // of the difference
const most = Math.max(0, ...cells.map((cell) => cell.steps?.calls.length ?? 0)); // points of the longest strip

function made(tag, text, parent) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

/** The address -> a state that is possible, whatever somebody wrote there. */
function read() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const cell = (name) => { const i = Number(asked.get(name) ?? NaN); return cells[i]?.picture ? i : null; };
  const mode = asked.get("mode");
  const tab = Number(asked.get("tab") ?? 0);
  const step = Number(asked.get("step") ?? 0);
  return { step: Number.isInteger(step) && step > 0 && step <= most ? step : most + 1,
           view: asked.get("view") === "xt" ? "xt" : "x0",
           swap: asked.get("swap") === "1", tab: tab in tabs() ? tab : 0, open: cell("open"), with: cell("with"),
           mode: ["slider", "beside", "difference"].includes(mode) ? mode : "slider" };
}

function go(change) {
  const state = { ...read(), ...change };
  const hash = new URLSearchParams();
  if (state.swap) hash.set("swap", "1");
  if (state.tab) hash.set("tab", state.tab);
  if (state.step <= most) hash.set("step", state.step);
  if (state.view !== "x0") hash.set("view", state.view);
  if (state.open !== null) {
    hash.set("open", state.open);
    if (state.with !== null) hash.set("with", state.with);
    if (state.mode !== "slider") hash.set("mode", state.mode);
  }
  history.replaceState(null, "", `#${hash}`);
  show();
}

/** Axes beyond two are tabs: all combinations of their values, each as [[axis, index], …]. */
function tabs() {
  return axes.slice(0, -2).reduce((found, axis, i) =>
    found.flatMap((before) => axis.labels.map((_, k) => [...before, [i, k]])), [[]]);
}

function index(places) {
  return axes.reduce((sum, axis, i) => sum * axis.labels.length + places[i], 0);
}

function cellOf(place, i) {
  const cell = cells[i];
  if (!cell.picture) {
    made("div", "not drawn", place).className = "missing";
    return;
  }
  const button = made("button", undefined, place);
  button.type = "button";
  button.dataset.cell = i;
  button.setAttribute("aria-label", `Open ${cell.label}`);
  const image = made("img", undefined, button);
  image.src = cell.picture;
  image.alt = cell.label;
  button.addEventListener("click", () => go({ open: i, with: null }));
  made("p", cell.note, place);
}

function grid(state) {
  const last = axes.length - 1, before = last - 1;
  const [rows, columns] = before < 0 ? (state.swap ? [last, -1] : [-1, last]) : state.swap ? [last, before] : [before, last];
  const table = at("grid");
  table.replaceChildren();
  const labels = (axis) => (axis < 0 ? [""] : axes[axis].labels);
  const head = made("tr", undefined, made("thead", undefined, table));
  if (rows >= 0) made("th", axes[rows].name, head).scope = "col";
  labels(columns).forEach((label, i) => {
    const text = columns < 0 ? "" : i ? label : `${axes[columns].name} ${label}`;
    made("th", text, head).scope = "col";
  });
  const body = made("tbody", undefined, table);
  labels(rows).forEach((label, r) => {
    const row = made("tr", undefined, body);
    if (rows >= 0) made("th", label, row).scope = "row";
    labels(columns).forEach((_, c) => {
      const places = axes.map(() => 0);
      tabs()[state.tab].forEach(([axis, k]) => { places[axis] = k; });
      if (rows >= 0) places[rows] = r;
      if (columns >= 0) places[columns] = c;
      cellOf(made("td", undefined, row), index(places));
    });
  });
}

/** Every cell at this point of its own run; beyond the last point stands the finished picture. */
function scrub(step, view) {
  if (!most) return;
  at("step").value = step;
  at("view").value = view;
  at("point").textContent = step > most ? "finished" : `${Math.round((100 * step) / most)} % of the run`;
  document.querySelectorAll("td button").forEach((button) => {
    const cell = cells[button.dataset.cell], note = button.nextElementSibling;
    if (step <= most && cell.steps) note.textContent = lay(button, cell.steps, view, step / most, "frame");
    else {
      button.querySelector(".frame")?.remove();
      note.textContent = cell.note;
    }
  });
}

let timer = null;

function stop() {
  clearInterval(timer);
  timer = null;
  at("play").textContent = "▶";
  at("play").setAttribute("aria-label", "Play");
}

function play() {
  if (Number(at("step").value) > most) scrub(1, at("view").value);
  at("play").textContent = "❚❚";
  at("play").setAttribute("aria-label", "Pause");
  timer = setInterval(() => {
    scrub(Number(at("step").value) + 1, at("view").value);
    if (Number(at("step").value) <= most) return;
    stop();
    go({ step: most + 1 });
  }, 160);
}

function picture(i, parent, className) {
  const image = made("img", undefined, parent);
  image.src = cells[i].picture;
  image.alt = cells[i].label;
  if (className) image.className = className;
  return image;
}

function slider(stage, over) {
  const range = made("input", undefined, stage);
  range.type = "range";
  range.setAttribute("aria-label", "How much of the second picture");
  const cut = () => { over.style.clipPath = `inset(0 0 0 ${100 - range.value}%)`; };
  range.addEventListener("input", cut);
  cut();
}

async function difference(a, b, stage) {
  const canvas = made("canvas", undefined, stage);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Difference times ${GAIN}`);
  const images = [a, b].map((i) => { const image = new Image(); image.src = cells[i].picture; return image; });
  await Promise.all(images.map((image) => image.decode()));
  canvas.width = images[0].naturalWidth;
  canvas.height = images[0].naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [one, two] = images.map((image) => {
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  });
  for (let i = 0; i < one.data.length; i++) if (i % 4 < 3) one.data[i] = GAIN * Math.abs(one.data[i] - two.data[i]);
  context.putImageData(one, 0, 0);
}

function opened(state) {
  const dialog = at("open");
  if (state.open === null) { if (dialog.open) dialog.close(); return; }
  const cell = cells[state.open], stage = at("stage"), pair = state.with !== null;
  at("title").textContent = pair ? `${cell.label} · ${cells[state.with].label}` : cell.label;
  stage.replaceChildren();
  stage.className = pair && state.mode === "beside" ? "beside" : "";
  if (pair && state.mode === "difference") difference(state.open, state.with, stage);
  else {
    picture(state.open, stage);
    if (pair) {
      const other = picture(state.with, stage, state.mode === "slider" ? "over" : "");
      if (state.mode === "slider") slider(stage, other);
    }
  }
  const partner = at("with");
  partner.replaceChildren(new Option("nothing", "", true, !pair));
  cells.forEach((other, i) => {
    if (other.picture && i !== state.open) partner.append(new Option(other.label, i, false, i === state.with));
  });
  at("mode").value = state.mode;
  at("mode").disabled = !pair;
  const said = (value) => (typeof value === "object" ? Object.entries(value).map((p) => p.join(" ")).join(", ") : value);
  const names = pair ? Object.keys({ ...cell.recipe, ...cells[state.with].recipe }) : [];
  const differing = names.filter((n) => JSON.stringify(cell.recipe[n]) !== JSON.stringify(cells[state.with].recipe[n]));
  at("differs").textContent = pair ? `They differ in: ${differing.join(", ") || "nothing"}.` : "";
  if (pair && state.mode === "difference" && ["width", "height"].some((side) => differing.includes(side))) {
    at("differs").textContent += " The second is brought to the size of the first for the difference.";
  }
  at("recipe").replaceChildren();
  Object.entries(cell.recipe).forEach(([name, value]) => {
    made("dt", name, at("recipe"));
    made("dd", said(value) === "" ? "none" : String(said(value)), at("recipe"));
  });
  at("download").href = cell.picture;
  at("download").download = `${cell.label.replace(/[^\w.-]+/g, "-")}.png`;
  if (!dialog.open) dialog.showModal();
}

function show() {
  const state = read();
  grid(state);
  scrub(state.step, state.view);
  opened(state);
}

at("fixed").textContent = fixed;
at("swap").addEventListener("click", () => go({ swap: !read().swap }));
if (tabs().length > 1) {
  const choice = made("select", undefined, at("tabs"));
  choice.setAttribute("aria-label", "Which part of the grid");
  tabs().forEach((tab, i) => {
    choice.append(new Option(tab.map(([axis, k]) => `${axes[axis].name} ${axes[axis].labels[k]}`).join(", "), i));
  });
  choice.value = read().tab;
  choice.addEventListener("change", () => go({ tab: Number(choice.value) }));
}
at("with").addEventListener("change", (e) => go({ with: e.target.value === "" ? null : Number(e.target.value) }));
at("mode").addEventListener("change", (e) => go({ mode: e.target.value }));
at("close").addEventListener("click", () => at("open").close());
at("open").addEventListener("close", () => go({ open: null, with: null }));
if (most) {
  at("steps").hidden = false;
  at("step").max = most + 1;
  // the address is written when the hand lets go: browsers refuse to have it written many times in a second
  at("step").addEventListener("input", (e) => { stop(); scrub(Number(e.target.value), at("view").value); });
  at("step").addEventListener("change", (e) => go({ step: Number(e.target.value) }));
  at("view").addEventListener("change", (e) => go({ view: e.target.value, step: Number(at("step").value) }));
  at("play").addEventListener("click", () => {
    if (!timer) return play();
    stop();
    go({ step: Number(at("step").value) });
  });
}
window.addEventListener("hashchange", show);
show();
