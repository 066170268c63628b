// The grid. `props.value` is what grid.py calls its payload: Gradio sends only what changed of it, and only cells whose
// text changed are read and touched here. All text is set with textContent, so nothing that a person typed becomes
// markup.
const board = element.querySelector(".dp-board");
const words = props.words; // labels of fields and samplers, as the form says them
const MOST_COLUMNS = 6; // of a grid with one axis
const NARROWEST = 128; // pixels of its cells, and
const GAP = 14; // between them, as tab.css has it
const MANY = 48; // cells, from which on those out of sight are not laid out
let value = null; // what is drawn
let drawn = []; // per cell, the text that it was drawn from
let frames = []; // per cell, its button
let met = false; // whether the form has asked for it since it is shown; one that is opened fills the form field by field
let oneSeed = -1; // of several seeds per cell the one that is shown, counted from 0; all of them as a mosaic

/** An element with a class, a text and attributes; `null` leaves an attribute out. */
function make(tag, className = "", text = "", attributes = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== "") made.textContent = text;
  for (const [name, given] of Object.entries(attributes)) if (given !== null) made.setAttribute(name, given);
  return made;
}

const pictures = () => [...board.querySelectorAll(".dp-picture")];
const pictureOf = (i) => frames[i];

function receive() {
  if (!props.value?.cells) return;
  const { cells: texts, ...head } = props.value;
  const next = JSON.parse(JSON.stringify(head));
  const other = value?.asked !== next.asked;
  const news = other || value.own !== next.own;
  if (other) drawn = [];
  const changed = Array.from(texts, (text, i) => (text === drawn[i] ? -1 : i)).filter((i) => i >= 0);
  next.cells = other ? Array.from(texts, (text) => JSON.parse(text)) : [...value.cells];
  if (!other) changed.forEach((i) => { next.cells[i] = JSON.parse(texts[i]); });
  drawn = [...texts];
  value = next;
  if (news) met = next.own;
  if (other) build();
  changed.forEach((i) => patch(value.cells[i], i));
  new Set(changed.map((i) => frames[i].closest(".dp-cell"))).forEach(sum);
  if (news) setTimeout(() => visited(next)); // the address takes its time, which is no part of this frame
  announce();
  compareForm();
}

// --- the frame of a grid: one axis flows in rows, two are a table, the third is a tab for each value

function build() {
  frames = [];
  const title = make("div", "dp-caption");
  value.caption.forEach((text) => title.append(make("span", "", text)));
  const axes = value.axes;
  const perTab = value.cells.length / (axes.length === 3 ? axes[0].labels.length : 1);
  const tabs = axes.length === 3 ? axes[0].named : [""];
  const panels = tabs.map((named, i) => {
    const laid = axes.length === 1 ? flow() : table(axes.at(-2), axes.at(-1), i * perTab);
    if (axes.length < 3) return laid;
    const panel = make("div", "", "", { role: "tabpanel", "aria-label": named });
    panel.hidden = i > 0;
    panel.append(laid);
    return panel;
  });
  board.replaceChildren(tools(), stale, title, ...begins(), ...(axes.length === 3 ? [tabList(axes[0], panels)] : []), ...panels);
  board.classList.toggle("dp-many", value.cells.length > MANY);
  board.classList.toggle("dp-several", new Set(value.cells.map((cell) => cell.recipe.model)).size > 1);
  reset();
  showSeed(oneSeed < value.seeds ? oneSeed : -1);
}

/** Each cell as a mosaic of its seeds, or as the picture of one of them. */
function showSeed(which) {
  oneSeed = value.seeds > 1 ? which : -1;
  const side = oneSeed < 0 ? Math.ceil(Math.sqrt(value.seeds)) : 1;
  frames.forEach((picture, i) => { picture.hidden = oneSeed >= 0 && i % value.seeds !== oneSeed; });
  board.querySelectorAll(".dp-seeds").forEach((many) => many.style.setProperty("--side", side));
  rove(pictures().find((picture) => !picture.hidden));
}

/** Chooses between them; nothing where each cell has one seed. */
function seedChooser() {
  if (value.seeds === 1) return [];
  const label = make("label", "", "Seeds ");
  const select = make("select", "", "", { "aria-label": "Seeds that are shown" });
  select.append(make("option", "", "all", { value: "-1" }));
  for (let k = 0; k < value.seeds; k++) select.append(make("option", "", value.cells[k].recipe.seed, { value: k }));
  select.value = String(oneSeed < value.seeds ? oneSeed : -1);
  select.addEventListener("change", () => {
    reset();
    showSeed(Number(select.value));
    board.querySelectorAll(".dp-cell").forEach(sum);
  });
  label.append(select);
  return [label];
}

/** The pictures that all runs are given, beside what became of them. */
function begins() {
  if (!value.begins.length) return [];
  const row = make("div", "dp-began");
  for (let i = 0; i < value.begins.length; i += 2) {
    const figure = make("figure");
    const name = value.begins[i + 1];
    figure.append(make("img", "", "", { src: value.begins[i], alt: name }), make("figcaption", "", name));
    row.append(figure);
  }
  return [row];
}

function flow() {
  const grid = make("div", "dp-grid", "", { role: "group", "aria-label": value.caption.join(", ") });
  value.axes[0].labels.forEach((label, i) => grid.append(cell(i * value.seeds, label)));
  even(grid);
  return grid;
}

/** As many columns as fit, but rather full rows than one long and one short: six cells are six, or three and three. */
function even(grid) {
  const fit = Math.floor((board.clientWidth + GAP) / (NARROWEST + GAP)) || MOST_COLUMNS; // a hidden tab has no width
  const cells = grid.childElementCount;
  const rows = Math.ceil(cells / Math.min(fit, MOST_COLUMNS));
  grid.style.setProperty("--columns", Math.ceil(cells / rows));
}
new ResizeObserver(() => board.querySelectorAll(".dp-grid").forEach(even)).observe(board);

function table(down, across, first) {
  const box = make("div", "dp-scroll", "", { tabindex: "0", role: "region", "aria-label": "Grid, scrolls sideways" });
  const made = make("table", "dp-table");
  made.style.setProperty("--columns", across.labels.length);
  const head = make("tr");
  const corner = make("td", "dp-corner");
  corner.append(make("span", "", `${across.name} →`), make("span", "", `${down.name} ↓`));
  head.append(corner, ...across.labels.map((label) => header(label, "col")));
  const rows = down.labels.map((label, y) => {
    const row = make("tr");
    row.append(header(label, "row"));
    across.labels.forEach((_, x) => {
      const at = make("td");
      at.append(cell(first + (y * across.labels.length + x) * value.seeds, null));
      row.append(at);
    });
    return row;
  });
  const top = make("thead");
  top.append(head);
  const body = make("tbody");
  body.append(...rows);
  made.append(top, body);
  box.append(made);
  return box;
}

function header(label, scope) {
  const th = make("th", "", "", { scope, title: label });
  th.append(make("span", "", label));
  return th;
}

function tabList(axis, panels) {
  const list = make("div", "dp-tabs", "", { role: "tablist", "aria-label": axis.name });
  list.append(make("span", "dp-quiet", axis.name));
  const buttons = axis.labels.map((label, i) => {
    const button = make("button", "", label, { type: "button", role: "tab", "aria-selected": String(i === 0) });
    button.addEventListener("click", () => {
      panels.forEach((panel, j) => { panel.hidden = i !== j; });
      buttons.forEach((one, j) => one.setAttribute("aria-selected", String(i === j)));
      rove(panels[i].querySelector(".dp-picture:not([hidden])"));
    });
    return button;
  });
  list.append(...buttons);
  return list;
}

/** One cell, which holds a picture for each seed. */
function cell(first, label) {
  const figure = make("figure", "dp-cell", "", { "data-first": first });
  if (label !== null) figure.append(make("figcaption", "", label, { title: label }));
  const many = make("div", "dp-seeds");
  for (let i = first; i < first + value.seeds; i++) {
    const { width, height } = value.cells[i].recipe;
    const picture = make("button", "dp-picture", "", { type: "button", "data-cell": i, tabindex: "-1" });
    picture.style.aspectRatio = `${width} / ${height}`;
    frames[i] = picture;
    many.append(picture);
  }
  figure.append(many, make("div", "dp-bar"), make("p", "dp-note"));
  return figure;
}

// --- one cell

/** What the grid shows of a picture: in a grid of many large ones a small copy. */
const seen = (cell) => cell.small || cell.picture;

function patch(cell, i) {
  const picture = pictureOf(i);
  let img = picture.querySelector("img");
  if (cell.picture && !img) {
    img = make("img", "", "", { decoding: "async", loading: "lazy" });
    picture.prepend(img);
  }
  if (img && !cell.picture) img.remove();
  if (img && cell.picture) {
    if (img.getAttribute("src") !== seen(cell)) img.src = seen(cell);
    img.alt = `${cell.alt}, ${cell.note}`;
  }
  const done = cell.state === "done";
  if (!done) picture.querySelector(".dp-frame, .dp-difference")?.remove();
  picture.setAttribute("aria-disabled", String(!done));
  picture.setAttribute("aria-label", `${done ? "Open " : ""}${cell.label}, ${cell.note || cell.state}`);
}

/** What stands under a cell: of one picture its own words, of several how far they are. */
function sum(figure) {
  const first = Number(figure.dataset.first);
  const shown = oneSeed < 0 ? [first, first + value.seeds] : [first + oneSeed, first + oneSeed + 1];
  const cells = value.cells.slice(...shown);
  const state = ["failed", "running", "waiting", "stopped", "done"].find((name) => cells.some((c) => c.state === name));
  const note = figure.querySelector(".dp-note");
  figure.dataset.state = state;
  figure.style.setProperty("--done", cells.reduce((all, c) => all + c.progress, 0) / cells.length);
  delete note.dataset.kept;
  note.textContent = cells.length === 1 || state === "failed" ? cells.find((c) => c.state === state).note : together(cells);
}

function together(cells) {
  const done = cells.filter((c) => c.state === "done");
  if (done.length < cells.length) return `${done.length} of ${cells.length} seeds`;
  const total = (name) => done.reduce((all, c) => all + c.facts[name], 0);
  const took = `${cells.length} seeds · ${total("seconds").toFixed(2)} s`;
  const origins = new Set(done.map((c) => c.facts.origin)); // of pictures that were not drawn here
  const origin = origins.size > 1 ? done[0].facts.origin.split(";")[0] : done[0].facts.origin;
  return origin ? `${took} · ${origin}` : `${took} · ${total("evaluations")} evaluations`;
}

// --- what is said to those who do not see it, and whether the form has moved on

const told = element.querySelector(".dp-told");
const stale = make("p", "dp-stale");

function announce() {
  const finished = value.cells.filter((c) => c.state === "done").length;
  const quarter = Math.floor((4 * finished) / value.cells.length) / 4;
  const text = finished ? `${Math.round(100 * quarter)} % of the grid is finished` : "";
  if (told.textContent !== text) told.textContent = text;
}

/** The form's own sweep, as the check beside Run wrote it; empty where it has an error, absent before any check. */
function compareForm() {
  const now = document.querySelector("#cost [data-asked]")?.dataset.asked;
  met ||= now !== undefined && now === value?.asked;
  const old = met && now !== undefined && now !== value.asked;
  board.classList.toggle("dp-old", old);
  board.closest(".dp-stage")?.classList.toggle("dp-old-stage", old);
  stale.textContent = old ? "Of an earlier form: what stands there now has not been run." : "";
  document.querySelectorAll(".dp-examples [id^='example-']").forEach((chip) => {
    chip.setAttribute("aria-pressed", String(chip.id === `example-${now}`));
  });
}
document.addEventListener("dp-form-checked", compareForm);
