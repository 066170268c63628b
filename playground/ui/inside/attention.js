// Draws one word's cross-attention over the picture, for one prompt or two. inside_attention.py packs the maps;
// choosing a word, a step or a resolution asks the server nothing. Text is only ever set as textContent.

const COLOURS = [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]]; // magma, five stops
const SIDE = 384; // pixels of a canvas
const find = (selector) => element.querySelector(selector);
const [step, overlay] = [find(".dpi-step input"), find(".dpi-over input")];
const [average, smooth] = [find('[data-set="average"]'), find('[data-set="smooth"]')];
let sides = [];
let chosen = ""; // key of the word, the same for both prompts
let level = 0; // index of the resolution

const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

function show(name, text) {
  for (const place of element.querySelectorAll(`[data-show="${name}"]`)) place.textContent = text;
}

/** A word is the same in both prompts when it is spelt the same and is the same one of its kind from the left. */
function keysOf(entries) {
  const seen = {};
  return entries.map(({ kind, text }) => {
    const name = `${kind} ${text.toLowerCase()}`;
    seen[name] = (seen[name] ?? 0) + 1;
    return `${name} ${seen[name]}`;
  });
}

/** shares of one entry at one step, or their average over the steps; -> values (rows · columns) in [0, 1] */
function valuesOf(side, entry, at) {
  const { rows, columns, peaks, bytes } = side.resolutions[level];
  const [places, steps] = [rows * columns, side.steps.length];
  const values = new Float32Array(places);
  const used = average.checked ? steps : 1;
  for (let s = 0; s < used; s++) {
    const from = (entry * steps + (average.checked ? s : at)) * places;
    for (let i = 0; i < places; i++) values[i] += (bytes[from + i] * peaks[entry]) / 255 / used;
  }
  return values;
}

function shareOf(side, entry, at) {
  const shares = side.resolutions[level].shares[entry];
  return average.checked ? shares.reduce((sum, s) => sum + s, 0) / shares.length : shares[at];
}

function colour(strength) {
  const place = Math.min(Math.max(strength, 0), 1) * (COLOURS.length - 1);
  const low = Math.min(Math.floor(place), COLOURS.length - 2);
  return COLOURS[low].map((c, i) => c + (COLOURS[low + 1][i] - c) * (place - low));
}

/** values -> a small canvas with one pixel per place */
function heat(values, rows, columns, full) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns, rows];
  const image = new ImageData(columns, rows);
  values.forEach((value, i) => image.data.set([...colour(value / full), 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** The colour scale: for single steps the largest value at any step, so that steps can be compared. */
function fullOf(entryOf) {
  let full = 1e-6;
  sides.forEach((side, i) => {
    if (entryOf[i] < 0) return;
    const largest = average.checked ? Math.max(...valuesOf(side, entryOf[i], 0)) : side.resolutions[level].peaks[entryOf[i]];
    full = Math.max(full, largest);
  });
  return full;
}

function draw() {
  if (!sides.length) return;
  const at = Number(step.value);
  for (const range of [step, overlay])
    range.style.setProperty("--dp-done", `${(100 * range.value) / Math.max(1, range.max)}%`);
  const entryOf = sides.map((side) => side.keys.indexOf(chosen));
  const full = fullOf(entryOf);
  sides.forEach((side, i) => {
    const context = side.canvas.getContext("2d");
    const { rows, columns } = side.resolutions[level];
    context.globalAlpha = 1;
    context.imageSmoothingEnabled = true;
    context.drawImage(side.image, 0, 0, side.canvas.width, side.canvas.height);
    const present = entryOf[i] >= 0;
    if (present) {
      context.globalAlpha = Number(overlay.value) / 100;
      context.imageSmoothingEnabled = smooth.checked;
      const map = heat(valuesOf(side, entryOf[i], at), rows, columns, full);
      context.drawImage(map, 0, 0, side.canvas.width, side.canvas.height);
    }
    const { kind, text, tokens } = present ? side.entries[entryOf[i]] : {};
    const name = kind === "word" ? `“${text}”` : kind === "start" ? "the start mark" : "the end mark and the padding";
    const several = tokens > 1 ? `, the average of its ${tokens} tokens` : "";
    const share = present ? percent(shareOf(side, entryOf[i], at)) : "";
    side.caption.textContent = present ? `${name}${several}: ${share} of the attention` : "This prompt does not have that word.";
    side.canvas.setAttribute("aria-label", `${side.prompt}. ${side.caption.textContent}`);
    side.words.forEach((word, entry) => {
      word.button.setAttribute("aria-pressed", String(side.keys[entry] === chosen));
      word.share.textContent = percent(shareOf(side, entry, at));
      const values = valuesOf(side, entry, at);
      const small = heat(values, rows, columns, Math.max(1e-6, ...values));
      word.canvas.getContext("2d").imageSmoothingEnabled = false;
      word.canvas.getContext("2d").drawImage(small, 0, 0, word.canvas.width, word.canvas.height);
    });
  });
  const first = sides[0];
  show("full", percent(full));
  show("step", average.checked ? `1 to ${first.of}, averaged` : `${first.steps[at]} of ${first.of}, t = ${first.timesteps[at]}`);
  step.disabled = average.checked;
}

function make(tag, parent, text = "", name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  parent.append(made);
  return made;
}

function lay(sent, image) {
  const figure = make("figure", find(".dpi-sides"));
  const side = { ...sent, image, keys: keysOf(sent.entries) };
  for (const resolution of side.resolutions) {
    resolution.bytes = Uint8Array.from(atob(resolution.maps), (c) => c.charCodeAt(0));
  }
  make("p", figure, sent.prompt || "(no words)", "dpi-prompt");
  side.canvas = make("canvas", figure);
  side.canvas.width = SIDE;
  side.canvas.height = Math.round((SIDE * image.naturalHeight) / image.naturalWidth);
  side.canvas.setAttribute("role", "img");
  side.caption = make("figcaption", figure);
  const list = make("div", figure, "", "dpi-words");
  list.setAttribute("role", "group");
  list.setAttribute("aria-label", "Words");
  side.words = sent.entries.map((entry, i) => {
    const button = make("button", list);
    button.type = "button";
    const canvas = make("canvas", button);
    canvas.width = canvas.height = 48;
    make("b", button, { start: "start mark", rest: "end, padding" }[entry.kind] ?? entry.text);
    const share = make("small", button);
    button.addEventListener("click", () => { chosen = side.keys[i]; draw(); });
    return { button, canvas, share };
  });
  return side;
}

function levelsOf(resolutions) {
  const box = find(".dpi-levels");
  for (const old of box.querySelectorAll("label")) old.remove();
  level = Math.min(level, resolutions.length - 1);
  resolutions.forEach(({ rows, columns, layers }, i) => {
    const label = make("label", box);
    const radio = make("input", label);
    Object.assign(radio, { type: "radio", name: "dpi-level", checked: i === level });
    radio.addEventListener("change", () => { level = i; draw(); });
    make("span", label, `${rows} × ${columns}, ${layers} ${layers === 1 ? "layer" : "layers"}`);
  });
}

const loaded = (source) => new Promise((done) => {
  const image = new Image();
  image.onload = () => done(image);
  image.src = source;
});

async function receive() {
  if (!props.value) return;
  const sent = JSON.parse(props.value).sides;
  const images = await Promise.all(sent.map((side) => loaded(side.picture)));
  find(".dpi-sides").replaceChildren();
  sides = sent.map((side, i) => lay(side, images[i]));
  levelsOf(sides[0].resolutions);
  step.max = sides[0].steps.length - 1;
  step.value = Math.min(Number(step.value), Number(step.max));
  const firstWord = sides[0].keys.find((key) => key.startsWith("word"));
  if (!sides[0].keys.includes(chosen)) chosen = firstWord ?? sides[0].keys[0];
  find(".dpi-maps").hidden = false;
  draw();
  element.dataset.ready = String(Number(element.dataset.ready ?? 0) + 1);
}

for (const control of [step, overlay]) control.addEventListener("input", draw);
for (const control of [average, smooth]) control.addEventListener("change", draw);
watch("value", receive);
receive();
