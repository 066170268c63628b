// Runs once, when the tab is first opened. `element` holds tab.html, whose text never changes, so Gradio never
// rebuilds it; `props.value` is the growing text of lines.py, one line of JSON per shot. Every picture is sent
// once: from then on scrubbing asks the server nothing.

const STRIP = 8; // frames of the film strip
const OPENS_AT = 0.4; // of the run
const SECONDS = 6; // one run of the film
const MOST_POSITIONS = 100;
const NAMES = { x_t: "noisy xₜ", x0: "predicted x̂₀", eps: "predicted noise" };
// what is said of a network that was not taught to name the noise itself
const PREDICTS = {
  v_prediction: " This network answers with v = √ᾱ·ε − √(1−ᾱ)·x₀; shown is the noise that follows from it.",
  flow_prediction: " This network answers with v = ε − x₀, the way from picture to noise; shown is the noise that follows from it.",
  sample: " This network answers with x̂₀; shown is the noise that follows from it.",
};
const root = element.querySelector(".dpd");
const range = root.querySelector(".dpd-scrub");
const play = root.querySelector(".dpd-play");
let head = null; // the first line
let frames = []; // per run, in the order of k; the last one of a finished run is its picture
let read = ""; // the complete lines already taken
let at = 0; // position, 0 … positions
let positions = 1;
let following = true; // the newest frame is shown while it comes, until someone touches the scrubber
let opening = true; // the film that the tab opens with stops where there is something to see in all of its pictures
let chosen = 0; // the run whose guidance and ruler are shown

const complete = () => frames.every((list, i) => list.at(-1)?.k === head.runs[i].of);

/** The calls that run i has made at a position: both runs stand at the same share of theirs. */
const targetOf = (i, position) => Math.floor((position / positions) * head.runs[i].of + 1e-9);

function frameOf(i, position) {
  const target = targetOf(i, position);
  return frames[i].findLast((frame) => frame.k <= target) ?? frames[i][0];
}

// a new film

function begin(line) {
  setRunning(false);
  head = line;
  head.flow = head.predicts === "flow_prediction";
  for (const run of head.runs) run.sigma = run.sigma.map((sigma) => sigma ?? Infinity);
  frames = head.runs.map(() => []);
  following = true;
  positions = Math.min(MOST_POSITIONS, Math.max(...head.runs.map((run) => run.of)));
  range.max = positions;
  root.dataset.runs = head.runs.length;
  root.style.setProperty("--dpd-shape", head.runs[0].width / head.runs[0].height);
  const first = root.querySelector(".dpd-run");
  const articles = head.runs.map((run, i) => {
    const article = root.querySelectorAll(".dpd-run")[i] ?? first.cloneNode(true);
    article.dataset.run = i;
    article.querySelector(".dpd-title").textContent = run.title ? `${"AB"[i]} · ${run.title}` : "";
    for (const img of article.querySelectorAll("img")) setPicture(img, "", "");
    return article;
  });
  root.querySelector(".dpd-runs").replaceChildren(...articles);
  root.querySelector(".dpd-choose").hidden = head.runs.length < 2;
  const decoder = head.vae ? "by the model's VAE" : "by the model's quick preview decoder, the last picture by its VAE";
  const long = head.runs.find((run) => run.every > 1);
  const sees = head.flow ? "(1−σ)·x₀ + σ·ε" : "√ᾱ·x₀ + √(1−ᾱ)·ε, also where the sampler keeps x₀ + σ·ε";
  if (head.flow) for (const name of root.querySelectorAll(".dpd-sigma")) name.title = "Noise; signal is 1 − σ";
  const named = PREDICTS[head.predicts] ?? "";
  const thinned = long ? ` Of a run of ${long.of} ${long.unit}s, one in ${long.every} is kept.` : "";
  showIn(
    root,
    "how",
    `xₜ and x̂₀ are decoded ${decoder}. xₜ is shown as the network sees it, ${sees}. ` +
      "Noise is not decoded: it is drawn latent by latent, channels 1 to 3 as red, green and " +
      `blue, from −3 to 3.${named}${thinned}`,
  );
  makeStrip();
  choose(Math.min(chosen, head.runs.length - 1));
}

function makeStrip() {
  const made = [];
  const last = Math.min(STRIP - 1, positions);
  for (let i = 0; i <= last; i++) {
    const position = Math.round((i * positions) / last);
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.position = position;
    const kinds = head.runs.length === 1 ? [[0, "x_t"], [0, "x0"]] : [[0, "x0"], [1, "x0"]];
    for (const [run, kind] of kinds) {
      const box = document.createElement("div");
      const img = document.createElement("img");
      box.className = "dpd-frame";
      img.dataset.run = run;
      img.dataset.kind = kind;
      box.append(img);
      button.append(box);
    }
    const caption = document.createElement("span");
    button.append(caption);
    button.addEventListener("click", () => jump(position));
    made.push(button);
  }
  root.querySelector(".dpd-strip").replaceChildren(...made);
}

function fillStrip() {
  for (const button of root.querySelector(".dpd-strip").children) {
    const position = Number(button.dataset.position);
    const reached = frames.every((list, i) => list.length && list.at(-1).k + head.runs[i].every > targetOf(i, position));
    const times = head.runs.map((run, i) => Math.round(run.t[targetOf(i, position)]));
    const place = position === positions ? "picture" : `t = ${[...new Set(times)].join(" | ")}`;
    for (const img of button.querySelectorAll("img")) {
      if (!reached || img.src) continue;
      const frame = frameOf(Number(img.dataset.run), position);
      setPicture(img, frame[img.dataset.kind] ?? frame.x0, `${NAMES[img.dataset.kind]}, ${place}`);
    }
    button.lastChild.textContent = place;
    button.setAttribute("aria-label", `Jump to ${place}`);
    if (position === at) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

// one position

function drawRun(i) {
  const [run, article] = [head.runs[i], root.querySelectorAll(".dpd-run")[i]];
  const frame = frameOf(i, at) ?? { k: 0 }; // before the first answer it is known where the run begins
  const k = frame.k;
  const end = k === run.of;
  const [signal, noise, sigma] = [run.signal[k], run.noise[k], run.sigma[k]];
  const show = (name, text) => showIn(article, name, text);
  const where = end ? "the finished picture" : `${k} of ${run.of} ${run.unit}s taken`;
  for (const img of article.querySelectorAll("[data-pic]")) {
    const kind = img.dataset.pic;
    setPicture(img, frame[kind] ?? (end && kind === "x_t" ? frame.x0 : ""), `${NAMES[kind]}, ${where}`);
  }
  const calls = run.unit === "call" ? `; ${run.taken[k]} of ${run.steps} steps of ${run.sampler}` : "";
  show("where", `After ${k} of ${run.of} ${run.unit}s${end ? ": the finished picture" : calls}`);
  show("x0-words", end ? "the picture, by the VAE" : "the picture it predicts");
  show("xt-words", end ? "what the last step left" : "what the network sees");
  show("eps-words", end ? "nothing more is asked" : "the noise it finds");
  article.toggleAttribute("data-end", end);
  show("t", end ? "–" : number(run.t[k], Number.isInteger(run.t[k]) ? 0 : 1));
  show("sigma", figures(sigma));
  show("logsnr", number(2 * Math.log(signal / noise)));
  show("step", end ? "–" : figures(run.sigma[k + 1] - sigma));
  const solved = !end && signal > 0; // without any signal left x̂₀ is no quotient
  article.toggleAttribute("data-solved", solved);
  show("noise", solved ? number(noise, 4) : "–");
  show("signal", solved ? number(signal, 4) : "–");
}

function draw() {
  range.value = at;
  range.style.setProperty("--dp-done", `${(100 * at) / positions}%`);
  head.runs.forEach((_, i) => drawRun(i));
  const shown = head.runs.map((run, i) => {
    const k = frameOf(i, at)?.k ?? 0;
    return k === run.of ? "finished picture" : `${k} of ${run.of} ${run.unit}s, t = ${Math.round(run.t[k])}`;
  });
  range.setAttribute("aria-valuetext", shown.join("; beside it "));
  const done = head.runs.map((run, i) => `${frames[i].at(-1)?.k ?? 0} of ${run.of}`);
  root.querySelector(".dp-aloud").textContent = complete()
    ? `The film is finished: ${shown.join("; beside it ")} in view.`
    : `${done.join(" and ")} computed.`;
  showIn(root, "status", complete() ? "" : `${done.join(" and ")} computed`);
  fillStrip();
  const frame = frameOf(chosen, at);
  // the finished picture asks nothing more, so the last call stays in view beside it
  const called = frame?.norm_cond === undefined ? frames[chosen].filter((f) => f.norm_cond !== undefined).at(-1) : frame;
  drawGuidance(head.runs[chosen], called, called !== frame);
  drawCurve(head.runs[chosen], frames[chosen], frame?.k ?? 0);
}

function jump(position) {
  setRunning(false);
  following = false;
  at = Math.max(0, Math.min(positions, position));
  if (head) draw();
}

function choose(i) {
  chosen = i;
  for (const button of root.querySelectorAll("[data-choose]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.choose) === i));
  }
  introduceGuidance(head.runs[i], head.gain);
  introduceRuler(head.runs[i], head.flow ? head.T : head.T - 1, head.flow); // pure noise is t = T of flow matching
}

// play and pause

let running = false;
function setRunning(on) {
  running = on;
  play.textContent = on ? "Pause" : "Play";
  play.setAttribute("aria-label", on ? "Pause the film" : "Play the film");
  if (!on || !head) return;
  following = false;
  const first = at >= positions ? 0 : at;
  let started = null;
  const tick = (now) => {
    if (!running || !element.isConnected) return;
    started ??= now;
    const next = Math.min(positions, Math.floor(first + ((now - started) / 1000 / SECONDS) * positions));
    if (next !== at) {
      at = next;
      draw();
    }
    if (at >= positions) setRunning(false);
    else requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

range.addEventListener("input", () => jump(Number(range.value)));
play.addEventListener("click", () => head && setRunning(!running));
for (const button of root.querySelectorAll("[data-choose]")) {
  button.addEventListener("click", () => {
    choose(Number(button.dataset.choose));
    draw();
  });
}
for (const button of root.querySelectorAll("[data-as]")) {
  button.addEventListener("click", () => {
    anatomy.as = button.dataset.as;
    for (const other of root.querySelectorAll("[data-as]")) other.setAttribute("aria-pressed", String(other === button));
    if (head) draw();
  });
}

// what the server sends

function receive() {
  const text = props.value ?? "";
  if (!text) return;
  if (!read || !text.startsWith(read)) {
    read = "";
    root.dataset.state = "running";
  }
  const upTo = text.lastIndexOf("\n") + 1;
  for (const line of text.slice(read.length, upTo).split("\n")) {
    if (!line) continue;
    const data = JSON.parse(line);
    if (data.runs) begin(data);
    else frames[data.run].push(data);
    if (data.own) head.runs[data.run].own = data.own;
  }
  read = text.slice(0, upTo);
  const shares = frames.map((list, i) => (list.at(-1)?.k ?? 0) / head.runs[i].of);
  if (following) at = Math.floor(Math.min(...shares, opening ? OPENS_AT : 1) * positions + 1e-9);
  draw();
  if (complete()) {
    root.dataset.state = "done";
    opening = false;
    drawRuler();
  }
}
watch("value", receive);
if (props.value) receive();
else trigger("opened"); // nobody pays for a film before this tab is looked at
