// An opened cell, and two cells beside each other: slider, side by side, flip, difference, and which settings differ.
const order = ["prompt", "negative_prompt", "prompt_weights", "sampler", "num_inference_steps", "guidance_scale", "true_cfg_scale",
               "guidance_rescale", "eta", "clip_skip", "shift", "image", "strength", "control_image", "controlnet_conditioning_scale",
               "control_guidance_start", "control_guidance_end", "loras", "seed", "width", "height", "model"];

/** A setting as people read it. */
function shownValue(name, given) {
  if (given === undefined) return "none";
  if (name === "image" || name === "control_image") return `${given.slice(0, 12)}…`;
  if (name === "sampler") return words.samplers[given] ?? given;
  if (typeof given === "boolean") return given ? "on" : "off";
  if (typeof given === "object") return Object.entries(given).map((pair) => pair.join(" ")).join(", ") || "none";
  return given === "" ? "none" : String(given);
}

const labelOf = (name) => words.fields[name] ?? name;

function button(label, action) {
  const made = make("button", "", label, { type: "button" });
  made.addEventListener("click", action);
  return made;
}

/** Also on http://, as in a workshop's network, where browsers have no navigator.clipboard. */
async function toClipboard(text, dialog) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = make("textarea");
  area.value = text;
  dialog.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("The browser refused to copy.");
}

/** A dialog with this content; when it closes the keyboard goes on at the picture that it came from. */
function show(label, from, ...content) {
  const dialog = make("dialog", "dp-dialog", "", { "aria-label": label });
  dialog.append(...content);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => { dialog.remove(); pictureOf(from)?.focus(); });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function open(i) {
  const cell = value.cells[i];
  const large = make("img", "", "", { src: cell.picture, alt: cell.alt });
  const side = make("div");
  const list = make("dl");
  order.filter((name) => name in cell.recipe).forEach((name) => {
    list.append(make("dt", "", labelOf(name)), make("dd", "", shownValue(name, cell.recipe[name])));
  });
  Object.entries(cell.facts).forEach(([name, given]) => list.append(make("dt", "", name), make("dd", "", given)));
  const actions = make("p");
  const file = { href: cell.picture, download: cell.picture.split("/").at(-1) };
  const copy = button("Copy recipe", async () => {
    const text = JSON.stringify(cell.recipe, null, 2);
    const done = await toClipboard(text, dialog).then(() => true, () => false);
    copy.textContent = done ? "Copied" : "The browser refused to copy";
    copy.focus();
  });
  actions.append(make("a", "", "Download PNG with its recipe", file), copy);
  if (value.cells.filter((c) => c.state === "done").length > 1) {
    actions.append(
      button("Compare with another", () => { dialog.close(); choose(i); }),
      button("Show how the others differ", () => { dialog.close(); differences(i); }),
    );
  }
  actions.append(button("Close", () => dialog.close()));
  side.append(list, actions);
  const dialog = show("Picture and recipe", i, large, side);
}

// --- choosing two, and one that all are measured against

let choosing = false; // the next click chooses
let chosen = null; // the first of two
let anchor = null;
const hint = make("span", "dp-quiet");

function tools() {
  // on a phone, where the form's own is far above the pictures once they are drawn
  const stop = button("Stop", () => document.querySelector("#stop").click());
  stop.className = "dp-stop";
  const bar = make("div", "dp-tools", "", { role: "toolbar", "aria-label": "Ways to look" });
  bar.append(
    button("Compare two", () => (choosing ? reset() : begin("Choose the first picture."))),
    button("Guess blind", () => blind()),
    ...seedChooser(),
    stop,
    hint,
  );
  return bar;
}

function begin(text) {
  reset();
  choosing = true;
  hint.textContent = text;
  board.classList.add("dp-choosing");
}

function reset() {
  choosing = false;
  chosen = anchor = null;
  hint.textContent = "";
  board.classList.remove("dp-choosing");
  board.querySelectorAll(".dp-difference").forEach((canvas) => canvas.remove());
  board.querySelectorAll("[data-chosen]").forEach((picture) => delete picture.dataset.chosen);
  board.querySelectorAll(".dp-note[data-before]").forEach((note) => {
    note.textContent = note.dataset.before;
    delete note.dataset.before;
  });
  endBlind();
}

function choose(i) {
  if (chosen === null || chosen === i) {
    begin("Choose the other picture. Escape lets go.");
    chosen = i;
    pictureOf(i).dataset.chosen = "A";
    pictureOf(i).focus();
    return;
  }
  const first = chosen;
  reset();
  pair(first, i);
}

// --- pixels

async function pixels(i, width, height) {
  const image = new Image();
  image.src = value.cells[i].picture;
  await image.decode();
  const canvas = make("canvas", "", "", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** |a − b| · k as a canvas, and the mean of |a − b| over all pixels and channels, 0 … 255. */
function difference(a, b, k) {
  const canvas = make("canvas", "dp-difference", "", { width: a.width, height: a.height });
  const out = new ImageData(a.width, a.height);
  let total = 0;
  for (let p = 0; p < a.data.length; p += 4) {
    for (let c = 0; c < 3; c++) {
      const apart = Math.abs(a.data[p + c] - b.data[p + c]);
      total += apart;
      out.data[p + c] = k * apart;
    }
    out.data[p + 3] = 255;
  }
  canvas.getContext("2d").putImageData(out, 0, 0);
  return { canvas, mean: total / (3 * a.width * a.height) };
}

async function differences(i) {
  reset();
  const grid = value;
  const { width, height } = grid.cells[i].recipe;
  const base = await pixels(i, width, height);
  if (grid !== value && grid.asked !== value.asked) return;
  anchor = i;
  pictureOf(i).dataset.chosen = "A";
  const sizes = new Set(grid.cells.map((cell) => `${cell.recipe.width} ${cell.recipe.height}`));
  hint.textContent = "Each other picture shows its difference from A, four times as strong. ";
  if (sizes.size > 1) hint.textContent += "Those of another size are brought to the size of A for this. ";
  hint.append(button("Show the pictures again", reset));
  for (const [j, cell] of value.cells.entries()) {
    if (j === i || cell.state !== "done") continue;
    const other = await pixels(j, width, height);
    if (anchor !== i) return;
    const { canvas, mean } = difference(base, other, 4);
    pictureOf(j).append(canvas);
    const note = pictureOf(j).closest(".dp-cell").querySelector(".dp-note");
    note.dataset.before ??= note.textContent;
    if (value.seeds === 1 || oneSeed >= 0) note.textContent = `mean difference ${mean.toFixed(1)} of 255`;
  }
}

/** Said where a difference is taken of pictures of two sizes. */
function resized(a, b) {
  if (a.recipe.width === b.recipe.width && a.recipe.height === b.recipe.height) return "";
  const size = ({ width, height }) => `${width} × ${height}`;
  return ` B has ${size(b.recipe)} pixels and is brought to the ${size(a.recipe)} of A for this.`;
}

// --- two cells

const MODES = [["slider", "Slider"], ["side", "Side by side"], ["flip", "Flip"], ["difference", "Difference"]];

async function pair(i, j) {
  const [a, b] = [value.cells[i], value.cells[j]];
  const box = make("div", "dp-pair", "", { "data-mode": "slider" });
  const images = [a, b].map((cell, n) => {
    const figure = make("figure");
    const picture = make("div", "dp-pair-picture");
    picture.append(make("img", "", "", { src: cell.picture, alt: cell.alt }));
    figure.append(picture, make("figcaption", "", `${"AB"[n]} · ${cell.label}`));
    return figure;
  });
  const stage = make("div", "dp-pair-stage");
  stage.append(...images);
  const range = make("input", "dp-range", "", { type: "range", min: 0, max: 100, value: 50, step: 1 });
  const says = make("p", "dp-quiet", "", { "aria-live": "polite" });
  const modes = make("fieldset", "dp-modes");
  modes.append(make("legend", "dp-hidden", "How to compare"));
  MODES.forEach(([mode, label]) => {
    const choice = make("label");
    const radio = make("input", "", "", { type: "radio", name: "dp-pair", value: mode });
    radio.checked = mode === "slider";
    radio.addEventListener("change", () => set(mode));
    choice.append(radio, ` ${label}`);
    modes.append(choice);
  });
  const { width, height } = a.recipe;
  let both = null;

  async function set(mode) {
    box.dataset.mode = mode;
    stage.querySelector("canvas")?.remove();
    range.hidden = mode === "side" || mode === "flip";
    if (mode === "difference") Object.assign(range, { min: 1, max: 20, value: 4 });
    if (mode === "slider") Object.assign(range, { min: 0, max: 100, value: 50 });
    range.setAttribute("aria-label", mode === "slider" ? "Where A ends and B begins" : "Times as strong");
    stage.dataset.shows = "A";
    await draw();
  }

  async function draw() {
    const mode = box.dataset.mode;
    const at = Number(range.value);
    range.style.setProperty("--dp-done", `${(100 * (at - range.min)) / (range.max - range.min)}%`);
    stage.style.setProperty("--at", mode === "slider" ? `${at}%` : "50%");
    if (mode === "slider") says.textContent = "A left of the line, B right of it.";
    if (mode === "side") says.textContent = "";
    if (mode === "flip") says.textContent = `${stage.dataset.shows} is shown. Hold the picture, or the key F, for B.`;
    if (mode !== "difference") return;
    both ??= await Promise.all([pixels(i, width, height), pixels(j, width, height)]);
    if (box.dataset.mode !== "difference") return;
    const { canvas, mean } = difference(...both, at);
    stage.querySelector("canvas")?.remove();
    stage.append(canvas);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Difference of the two pictures");
    says.textContent = `|A − B| · ${at}. The mean difference is ${mean.toFixed(1)} of 255 per pixel and colour.${resized(a, b)}`;
  }

  function flip(shows) {
    if (box.dataset.mode !== "flip" || stage.dataset.shows === shows) return;
    stage.dataset.shows = shows;
    draw();
  }

  range.addEventListener("input", draw);
  stage.addEventListener("pointerdown", () => flip("B"));
  stage.addEventListener("pointerup", () => flip("A"));
  stage.addEventListener("pointerleave", () => flip("A"));
  box.append(modes, stage, range, says);
  const side = make("div");
  side.append(make("h3", "", "What differs"), differing(a, b));
  const dialog = show("Two pictures compared", i, box, side);
  side.append(button("Close", () => dialog.close()));
  dialog.addEventListener("keydown", (event) => event.key.toLowerCase() === "f" && flip("B"));
  dialog.addEventListener("keyup", (event) => event.key.toLowerCase() === "f" && flip("A"));
  await set("slider");
}

/** A table of the settings that differ; where none does, that is said. */
function differing(a, b) {
  const names = order.filter((name) => JSON.stringify(a.recipe[name]) !== JSON.stringify(b.recipe[name]));
  if (!names.length) return make("p", "dp-quiet", "No setting: both are the same picture.");
  const made = make("table", "dp-differing");
  const head = make("tr");
  ["Setting", "A", "B"].forEach((text) => head.append(make("th", "", text, { scope: "col" })));
  made.append(head);
  names.forEach((name) => {
    const row = make("tr");
    row.append(make("th", "", labelOf(name), { scope: "row" }),
               ...[a, b].map((cell) => make("td", "", shownValue(name, cell.recipe[name]))));
    made.append(row);
  });
  return made;
}
