// The visit: which step, which answers. Kept in this browser only; the server is told what it needs with each event.
const KEY = "dp-lessons";

function remembered() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return { at: found.at ?? null, answers: found.answers ?? {} };
  } catch {
    return { at: null, answers: {} }; // no storage, or not ours
  }
}

const memory = remembered();
let moved = false; // a button led to another step: the keyboard goes on from its heading

function remember() {
  try {
    localStorage.setItem(KEY, JSON.stringify(memory));
  } catch {
    // a full or forbidden storage loses the progress, not the lesson
  }
}

function place(lesson = root().dataset.lesson, step = Number(root().dataset.step)) {
  return { lesson, step, done: Object.keys(memory.answers) };
}

/** An empty answer is asked for by the server, which says what is missing. */
function reveal(event) {
  const given = answer();
  const asked = root().dataset.kind !== "";
  if (!asked || given !== null) memory.answers[root().dataset.name] = given;
  memory.at = place();
  remember();
  trigger(event, { ...place(), answer: given });
  mark();
  if (!asked || given !== null) look();
}

/** On a narrow screen the pictures stand below the buttons, out of sight. */
function look() {
  const stage = document.querySelector("#lesson-stage");
  if (stage.getBoundingClientRect().top < innerHeight / 2) return;
  // else the browser would hold on to what stands below the pictures, and scroll past them as their text comes
  document.documentElement.style.overflowAnchor = "none";
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  stage.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
}

/** The step just looked at is marked at once; the server marks it when the step is drawn again. */
function mark() {
  const button = element.querySelector('.dpl-progress [aria-current="step"]');
  if (!button || !(root().dataset.name in memory.answers)) return;
  button.dataset.mark = "done";
  button.textContent = "✓";
}

function go(lesson, step) {
  memory.at = { lesson, step };
  remember();
  moved = true;
  trigger("lesson_go", { ...place(lesson, step), answer: memory.answers[`${lesson}-${step + 1}`] ?? null });
}

element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || !element.contains(button)) return;
  if (button.dataset.to !== undefined) go(button.dataset.lesson ?? root().dataset.lesson, Number(button.dataset.to));
  if (button.dataset.act === "show") reveal("lesson_show");
  if (button.dataset.act === "stop") trigger("lesson_stop");
  if (["quiz", "sheet"].includes(button.dataset.act)) {
    document.dispatchEvent(new CustomEvent("dp-desk", { detail: button.dataset.act }));
  }
  if (button.dataset.cell !== undefined) press(Number(button.dataset.cell));
});
element.addEventListener("submit", (event) => {
  event.preventDefault();
  reveal("lesson_run");
});
element.addEventListener("change", (event) => {
  if (event.target.matches(".dpl-lesson select")) go(event.target.value, 0);
});

document.addEventListener("dp-lesson-onward", () => element.querySelector(".dpl-onward > button:last-child").click());
document.addEventListener("dp-lesson-go", (event) => go(event.detail.lesson, event.detail.step));

function drawn() {
  const onward = element.querySelector(".dpl-onward > button:last-child").textContent;
  document.dispatchEvent(new CustomEvent("dp-lesson-drawn", { detail: onward }));
  restore(memory.answers[root().dataset.name]);
  if (moved) element.querySelector("h2").focus();
  moved = false;
}

watch("value", drawn);
if (memory.at && (memory.at.lesson !== root().dataset.lesson || memory.at.step !== Number(root().dataset.step)
    || Object.keys(memory.answers).length)) {
  const { lesson, step } = memory.at;
  trigger("lesson_go", { ...place(lesson, step), answer: memory.answers[`${lesson}-${step + 1}`] ?? null });
} else {
  drawn();
}
