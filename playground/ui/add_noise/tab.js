// Runs once, when the tab is first opened. `element` holds add_noise.html, whose text never changes, so Gradio never
// rebuilds it; `props.value` is the JSON that add_noise.py packs: x₀, ε and the schedule's amplitudes. From then on
// every x_t = signal · x₀ + noise · ε is computed here, and moving the slider asks the server nothing. The values are those
// of the pixels, or those of the model's latents; then decoded pictures of some t come along, for the VAE runs there.

const STRIP = [0, 100, 250, 400, 600, 800, 999];
const SECONDS = 8; // one run of the timeline
const find = (selector) => element.querySelector(selector);
const range = find(".dpn-range");
const play = find(".dpn-play");
let data = null;
let t = Number(range.value);

// plain loops: the typed arrays' own from() is ten times slower, which is felt with 200,000 values
function bytes(text) {
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

function floats(levels, scale, shift) {
  const out = new Float32Array(levels.length);
  for (let i = 0; i < levels.length; i++) out[i] = levels[i] / scale - shift;
  return out;
}

/** x₀ and ε as floats. Pixels: (side, side, 3), from 8 bits each. Latents: (channels, h, w), as they are. */
function unpack(sent) {
  if (sent.kind === "latents") {
    const read = (text) => new Float32Array(bytes(text).buffer);
    return { ...sent, x0: read(sent.x0), noise: read(sent.noise) };
  }
  const noise = new Int8Array(bytes(sent.noise).buffer);
  return { ...sent, x0: floats(bytes(sent.x0), 127.5, 1), noise: floats(noise, sent.noiseUnit, 0) };
}

/** signal · x₀ + noise · ε on a canvas. Values outside the shown range are clipped, as when a picture is saved. */
function paint(canvas, signal, noise, skip = 1) {
  if (data.kind === "latents") paintChannels(canvas, signal, noise);
  else paintPixels(canvas, signal, noise, skip);
}

/** `skip` = 2 takes every second pixel, which keeps the noise as strong as it is (averaging would calm it). */
function paintPixels(canvas, signal, noise, skip) {
  const side = data.side / skip;
  canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  const out = image.data;
  for (let y = 0, to = 0; y < side; y++) {
    for (let x = 0; x < side; x++, to += 4) {
      const from = (y * skip * data.side + x * skip) * 3;
      for (let c = 0; c < 3; c++) {
        const value = signal * data.x0[from + c] + noise * data.noise[from + c];
        out[to + c] = Math.round((value + 1) * 127.5); // a clamped array: below 0 is 0, above 255 is 255
      }
      out[to + 3] = 255;
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** All channels side by side, one square a value: black at −limit, white at limit. */
function paintChannels(canvas, signal, noise) {
  const [channels, height, width] = data.shape;
  const columns = Math.ceil(Math.sqrt(channels));
  canvas.width = columns * (width + 1) - 1;
  canvas.height = Math.ceil(channels / columns) * (height + 1) - 1;
  for (let c = 0; c < channels; c++) {
    const image = new ImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      const from = c * width * height + i;
      const value = signal * data.x0[from] + noise * data.noise[from];
      image.data.fill(Math.round((value / data.limit + 1) * 127.5), 4 * i, 4 * i + 3);
      image.data[4 * i + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, (c % columns) * (width + 1), Math.floor(c / columns) * (height + 1));
  }
}

/** The decoded picture of the nearest t that was decoded, said so under the picture. */
function paintDecoded(canvas, at) {
  const nearest = data.frames.reduce((a, b) => (Math.abs(b.t - at) < Math.abs(a.t - at) ? b : a));
  canvas.width = nearest.image.naturalWidth;
  canvas.height = nearest.image.naturalHeight;
  canvas.getContext("2d").drawImage(nearest.image, 0, 0);
  return nearest.t;
}

/** Histogram of all values of x_t, from −4 to 4, as a density; the normal curve on the same scale. */
const BINS = 64;
const valueX = (value) => 28 + 48 * (value + 4);
function drawValues(signal, noise) {
  const counts = new Float64Array(BINS);
  const n = data.x0.length;
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < n; i++) {
    const value = signal * data.x0[i] + noise * data.noise[i];
    sum += value;
    squares += value * value;
    const bin = Math.floor((value + 4) * (BINS / 8));
    if (bin >= 0 && bin < BINS) counts[bin]++;
  }
  const densities = Array.from(counts, (count) => (count * BINS) / (8 * n));
  const top = Math.max(0.5, ...densities);
  const valueY = (density) => 108 - (96 * density) / top;
  const bars = densities.map((d, i) => `L${valueX(-4 + (8 * i) / BINS).toFixed(1)} ${valueY(d).toFixed(1)}h${384 / BINS}`);
  place(".dpn-bars", { d: `M28 108${bars.join("")}L412 108Z` });
  const normal = (value) => Math.exp((-value * value) / 2) / Math.sqrt(2 * Math.PI);
  const line = Array.from({ length: 81 }, (_, i) => {
    const value = -4 + i / 10;
    return `${i ? "L" : "M"}${valueX(value).toFixed(1)} ${valueY(normal(value)).toFixed(1)}`;
  });
  place(".dpn-normal", { d: line.join("") });
  show("mean", (sum / n).toFixed(3).replace("-", "−"));
  show("variance", (squares / n - (sum / n) ** 2).toFixed(3));
}

const signalAt = (at) => data.signal[at];
const noiseAt = (at) => data.amount[at];

function show(name, text) {
  for (const place of element.querySelectorAll(`[data-show="${name}"]`)) place.textContent = text;
}

function plain(value) {
  if (value >= 1000) return value.toFixed(0);
  if (value >= 1) return value.toPrecision(4);
  return value >= 0.001 ? value.toFixed(4) : value && value.toExponential(1);
}

/** Four decimals, or four digits where those are more: what is computed of the two amplitudes holds for what is shown. */
function amplitude(value) {
  const [decimals, digits] = [value.toFixed(4), value.toPrecision(4)];
  return Number(decimals) === Number(digits) ? decimals : digits;
}

// the curve: t runs from 28 to 412, amplitude 1…0 from 12 to 144 (units of the SVG's viewBox)
const curveX = (at) => 28 + (384 * at) / 999;
const curveY = (value) => 144 - 132 * value;

function place(selector, attributes) {
  for (const [name, value] of Object.entries(attributes)) find(selector).setAttribute(name, value);
}

function drawCurve() {
  const path = (valueAt) =>
    data.signal.map((_, at) => `${at ? "L" : "M"}${curveX(at).toFixed(1)} ${curveY(valueAt(at)).toFixed(1)}`).join("");
  place(".dpn-line-signal", { d: path(signalAt) });
  place(".dpn-line-noise", { d: path(noiseAt) });
  place(".dpn-name-signal", { x: curveX(999), y: curveY(signalAt(790)) - 12 });
  place(".dpn-name-noise", { x: curveX(999), y: curveY(noiseAt(790)) + 22 });
  place(".dpn-half", { x1: curveX(data.half), x2: curveX(data.half) });
}

function goTo(next) {
  t = Math.max(0, Math.min(999, Math.round(next)));
  range.value = t;
  if (!data) return;
  const [signal, noise] = [signalAt(t), noiseAt(t)];
  const snr = (amplitude(signal) / amplitude(noise)) ** 2;
  if (data.kind === "latents") {
    show("decoded", `decoded at t = ${paintDecoded(find(".dpn-picture"), t)}, the nearest of ${data.frames.length} that the VAE decoded`);
    paint(find(".dpn-part-sum"), signal, noise);
  } else {
    paint(find(".dpn-picture"), signal, noise);
    show("decoded", "");
  }
  drawValues(signal, noise);
  paint(find(".dpn-part-signal"), signal, 0, 2);
  paint(find(".dpn-part-noise"), 0, noise, 2);
  show("t", t);
  show("signal", amplitude(signal));
  show("noise", amplitude(noise));
  show("power", plain(signal ** 2));
  show("snr", plain(snr));
  show("logsnr", snr ? signed(Math.log(snr)) : "−∞");
  place(".dpn-marker", { x1: curveX(t), x2: curveX(t) });
  place(".dpn-dot-signal", { cx: curveX(t), cy: curveY(signal) });
  place(".dpn-dot-noise", { cx: curveX(t), cy: curveY(noise) });
  range.setAttribute("aria-valuetext", `t = ${t}, signal ${signal.toFixed(2)}, noise ${noise.toFixed(2)}`);
  range.style.setProperty("--dp-done", `${(100 * t) / 999}%`);
  for (const frame of find(".dpn-strip").children) {
    if (Number(frame.dataset.t) === t) frame.setAttribute("aria-current", "true");
    else frame.removeAttribute("aria-current");
  }
}

/** Two digits, with a true minus sign and no minus zero. */
function signed(value) {
  const text = value.toFixed(2);
  return Number(text) === 0 ? "0.00" : text.replace("-", "−");
}

// play and pause
let running = false;
function setRunning(on) {
  running = on;
  play.textContent = on ? "Pause" : "Play";
  play.setAttribute("aria-label", on ? "Pause the timeline" : "Play the timeline");
  if (!on) return;
  const first = t >= 999 ? 0 : t;
  let started = null;
  const frame = (now) => {
    if (!running || !element.isConnected) return;
    started ??= now;
    goTo(first + ((now - started) / 1000 / SECONDS) * 999);
    if (t >= 999) setRunning(false);
    else requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}
function jump(next) {
  setRunning(false);
  goTo(next);
}

for (const at of STRIP) {
  const frame = document.createElement("button");
  const canvas = document.createElement("canvas");
  const caption = document.createElement("span");
  canvas.width = canvas.height = 128;
  caption.textContent = `t = ${at}`;
  frame.type = "button";
  frame.dataset.t = at;
  frame.setAttribute("aria-label", `Jump to t = ${at}`);
  frame.append(canvas, caption);
  frame.addEventListener("click", () => jump(at));
  find(".dpn-strip").append(frame);
}
for (const at of [0, 250, 500, 750, 999]) {
  const tick = document.createElementNS("http://www.w3.org/2000/svg", "text");
  tick.setAttribute("x", curveX(at));
  tick.setAttribute("y", 164);
  tick.setAttribute("text-anchor", at === 999 ? "end" : "middle");
  tick.textContent = at === 999 ? "t = 999" : at;
  find(".dpn-ticks").append(tick);
}

range.addEventListener("input", () => jump(Number(range.value)));
play.addEventListener("click", () => setRunning(!running));
find(".dpn-to-half").addEventListener("click", () => data && jump(data.half));
const curve = find(".dpn-curve"); // a pointer on the curve moves the marker; the slider does the same from the keyboard
const follow = (event) => {
  const box = curve.getBoundingClientRect();
  jump(((((event.clientX - box.left) / box.width) * 420 - 28) / 384) * 999);
};
curve.addEventListener("pointerdown", follow);
curve.addEventListener("pointermove", (event) => event.buttons && follow(event));

for (const at of [-4, -2, 0, 2, 4]) {
  const tick = document.createElementNS("http://www.w3.org/2000/svg", "text");
  tick.setAttribute("x", valueX(at));
  tick.setAttribute("y", 125);
  tick.setAttribute("text-anchor", "middle");
  tick.textContent = String(at).replace("-", "−");
  find(".dpn-value-ticks").append(tick);
}

const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

/** A data URI -> an image that can be drawn. */
async function loaded(frame) {
  const image = new Image();
  image.src = frame.src;
  await image.decode();
  return { t: frame.t, image };
}

let latest = 0;
async function receive() {
  if (!props.value) return;
  const mine = ++latest;
  const next = unpack(JSON.parse(props.value));
  next.frames = await Promise.all((next.frames ?? []).map(loaded));
  if (mine !== latest) return; // a newer one came while the pictures were being read
  data = next;
  element.querySelector(".dpn").dataset.kind = data.kind;
  show("half", data.half);
  show("end", signalAt(999) ? "999, nearly noise" : "999, noise");
  show("signal-symbol", data.symbols[0]);
  show("signal-factor", data.flow ? `(${data.symbols[0]})` : data.symbols[0]);
  show("noise-symbol", data.symbols[1]);
  show("power-symbol", data.flow ? "(1−σ)²" : "ᾱ");
  element.querySelector(".dpn").dataset.flow = data.flow;
  show("last", data.last);
  show("about", data.about);
  show("count", data.x0.length.toLocaleString("en"));
  drawCurve();
  goTo(t);
  await painted(); // the picture is on the screen before the strip is drawn
  if (mine !== latest) return;
  for (const frame of find(".dpn-strip").children) {
    if (data.kind === "latents") paintDecoded(frame.firstChild, Number(frame.dataset.t));
    else paint(frame.firstChild, signalAt(frame.dataset.t), noiseAt(frame.dataset.t), 2);
  }
  element.dataset.ready = data.key;
}
watch("value", receive);
if (props.value) receive();
else trigger("opened"); // nobody pays for x₀ and ε before this tab is looked at
