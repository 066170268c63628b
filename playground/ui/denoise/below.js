// The two sections under the film: guidance taken apart, and the ruler of the two kinds of steps. tab.js comes
// after this file in the same script, and calls what is defined here. All text is set with textContent.

/** Infinite where no noise, or no signal, is left. */
function number(value, digits = 2) {
  if (!Number.isFinite(value)) return value < 0 ? "−∞" : "∞";
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−"); // no minus zero
}

/** A number as a person would type it. */
const plainNumber = (value) => String(value);

/** A norm, a coefficient or σ: four figures where they carry something, "0" for none. */
function figures(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 0.001) return value.toExponential(1).replaceAll("-", "−");
  return number(value, size >= 100 ? 1 : size >= 1 ? 2 : 4);
}

function showIn(root, name, text) {
  for (const place of root.querySelectorAll(`[data-show="${name}"]`)) place.textContent = text;
}

function setPicture(img, url, alt) {
  if (url) img.src = url;
  else img.removeAttribute("src");
  img.alt = url ? alt : "";
}

const ANSWERS = { // of the network, as a person who does not see the pictures is told them
  uncond: "answer without the prompt",
  cond: "answer with the prompt",
  difference: "difference of the two answers",
  eps: "guided answer",
};
const anatomy = { root: element.querySelector(".dpd-anatomy"), as: "noise" };

/** What does not change along a run. */
function introduceGuidance(run, gain) {
  const other = run.negative ? "the negative prompt" : "no words";
  const words = run.guided
    ? `Each step asks the network twice: with the prompt, and with ${other}. Guidance goes from the second answer ` +
      `towards the first and past it: ${plainNumber(run.w)} times the way (${run.scale}).` +
      ` What xₜ holds already shows in both answers, also in that ${run.negative ? "to the negative prompt" : "without words"}.` +
      (run.rescale ? ` Its contrast is then taken back by ${plainNumber(run.rescale)} of what it grew (guidance rescale).` : "")
    : `At ${run.scale} ${plainNumber(run.w)} there is no unconditional pass: the sampler takes the ` +
      "answer to the prompt as it is. The other answer was computed here for showing only, and does not enter the picture.";
  const told = run.told === null ? "" : ` For both answers the network is told guidance scale ${plainNumber(run.told)}.`;
  showIn(anatomy.root, "guidance-words", words + told);
  showIn(anatomy.root, "uncond-words", `asked with ${other}${run.guided ? "" : ", for showing only"}`);
  showIn(anatomy.root, "gain", gain);
  for (const formula of anatomy.root.querySelectorAll("[data-if]")) {
    formula.hidden = (formula.dataset.if === "guided") !== run.guided;
  }
}

function drawGuidance(run, frame, over) {
  const none = !frame;
  const noise = anatomy.as === "noise";
  anatomy.root.dataset.as = anatomy.as;
  const names = noise
    ? { uncond: "eps_uncond", cond: "eps_cond", difference: "difference", eps: "eps" }
    : { uncond: "x0_uncond", cond: "x0_cond", difference: "difference", eps: "x0" };
  for (const img of anatomy.root.querySelectorAll("[data-part]")) {
    const part = img.dataset.part;
    img.classList.toggle("dpd-latent", noise || part === "difference");
    const as = noise || part === "difference" ? "noise" : "predicted picture";
    const answer = part === "uncond" && run.negative ? "answer to the negative prompt" : ANSWERS[part];
    setPicture(img, none ? "" : frame[names[part]], `${answer}, as ${as}`);
  }
  for (const name of ["norm_uncond", "norm_cond", "norm_difference", "norm_eps"]) {
    showIn(anatomy.root, name, none ? "–" : figures(frame[name]));
  }
  showIn(anatomy.root, "cosine", none ? "–" : number(frame.cosine, 4));
  if (none) {
    for (const name of ["formula-numbers", "formula-words"]) showIn(anatomy.root, name, "");
    return;
  }
  const at = frame.largest;
  // the sum is that of the digits shown, so that it adds up on paper
  const [uncond, cond] = [at.uncond, at.cond].map((value) => Number(value.toFixed(4)));
  const added = uncond + run.w * (cond - uncond);
  const [u, c, sum, taken] = [uncond, cond, added, at.eps].map((value) => number(value, 4));
  const w = plainNumber(run.w);
  const guided = `${sum} = ${u} + ${w} · (${c} − ${u})`.replaceAll("− −", "+ ") + (run.rescale ? `, rescaled: ${taken}` : "");
  const filled = run.guided ? guided : `${sum} = ${c}`;
  const length = figures(frame.norm_difference);
  const push = `Over all values the push is ${w} · ${length} = ${figures(run.w * Number(length.replaceAll("−", "-")))} long.`;
  showIn(anatomy.root, "formula-numbers", filled);
  showIn(
    anatomy.root,
    "formula-words",
    `${over ? "The run is over; this was its last call. " : ""}These are the numbers of one value, that in which the two answers differ most: channel ${at.channel}, row ` +
      `${at.row}, column ${at.column}. ${run.guided ? push : ""}`,
  );
}

function drawCurve(run, frames, k) {
  const points = frames.filter((frame) => frame.norm_difference !== undefined);
  const most = Math.max(...points.map((frame) => frame.norm_difference), 0);
  const x = (at) => (100 * at) / run.of;
  const path = points.map((f, i) => `${i ? "L" : "M"}${x(f.k).toFixed(2)} ${(39 - (37 * f.norm_difference) / (most || 1)).toFixed(2)}`);
  anatomy.root.querySelector(".dpd-line").setAttribute("d", path.join(""));
  const now = anatomy.root.querySelector(".dpd-now");
  now.setAttribute("x1", x(k));
  now.setAttribute("x2", x(k));
  showIn(anatomy.root, "curve-most", points.length ? `, from 0 to ${figures(most)}` : "");
}

const ruler = { root: element.querySelector(".dpd-steps"), run: null, last: 999 };
const stopAt = ruler.root.querySelector(".dpd-stop-range");

/** A run of one step has no inside to stop at. */
function introduceRuler(run, last, flow) {
  ruler.run = run;
  ruler.last = last;
  showIn(ruler.root, "ruler-start", `${last}, noise`);
  showIn(ruler.root, "ruler-end", flow ? "0, the picture" : "0, nearly the picture");
  ruler.root.hidden = run.steps < 2;
  stopAt.max = Math.max(1, run.steps - 1);
  stopAt.value = Math.max(1, Math.round(run.steps / 2));
  drawRuler();
}

function ticks(row, times, mark) {
  const place = ruler.root.querySelector(`[data-row="${row}"]`);
  place.replaceChildren(
    ...times.map((t, i) => {
      const tick = document.createElement("i");
      tick.style.left = `${100 - (100 * t) / ruler.last}%`;
      tick.className = mark(i);
      return tick;
    }),
  );
}

function noOwnRun(run, n) {
  if (!run.own) return "The shorter run is drawn when this one is over";
  return run.own.length ? `${run.sampler} has no run of ${n} steps` : "Shorter runs are drawn for runs of up to 60 steps";
}

function drawRuler() {
  const run = ruler.run;
  const n = Number(stopAt.value);
  const show = (name, text) => showIn(ruler.root, name, text);
  const k = run.taken.indexOf(n); // the network call at which n steps lie behind
  const [t, sigma, end] = [run.t[k], run.sigma[k], run.sigma[run.of]];
  const own = run.own?.[n]; // comes with the run's last frame
  stopAt.style.setProperty("--dp-done", `${(100 * (n - 1)) / Math.max(1, stopAt.max - 1)}%`);
  show("ruler-k", n);
  show("ruler-n", run.steps);
  const steps = (count) => `${count} ${count === 1 ? "step" : "steps"}`;
  show("inside-words", `Inside the run of ${steps(run.steps)}, after ${n}: the tall mark is where it stands`);
  ticks("inside", run.t.slice(0, run.of), (i) => (i === k ? "dpd-here" : i < k ? "dpd-taken" : ""));
  const left =
    `Step ${n} of ${run.steps} is not a ${n}-step run: after ${n} of ${run.steps} steps this ${run.sampler} run stands ` +
    `at t = ${Math.round(t)}, with σ = ${figures(sigma)} of noise left`;
  const ends = end === 0 ? "with no noise left" : `at σ = ${figures(end)}`;
  if (own) {
    show("own-words", `Its own run of ${steps(n)}`);
    ticks("own", own, () => "dpd-taken");
    show("verdict", `${left}; a run with ${steps(n)} has spread them over the whole way and ends ${ends}.`);
  } else {
    ticks("own", [], () => "");
    show("own-words", noOwnRun(run, n));
    show("verdict", `${left}; the whole run ends ${ends}.`);
  }
}

stopAt.addEventListener("input", drawRuler);
