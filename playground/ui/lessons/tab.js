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

/** How many steps were run in this browser, beside the way to the quiz about them. */
function count() {
  let runs = 0;
  try {
    runs = Object.keys(JSON.parse(localStorage.getItem("dp-runs") ?? "{}")).length;
  } catch {
    // no storage, or not ours
  }
  const own = runs === 1 ? "1 run of your own" : `${runs} runs of your own`;
  const some = `You have ${own} so far. The quiz asks about those, and fills up with runs drawn beforehand, marked so.`;
  const none = "You have no run of your own yet. Until you do, the quiz asks about runs drawn beforehand, marked so.";
  element.querySelector("[data-runs]").textContent = runs ? some : none;
}

document.addEventListener("dp-run-kept", count);
document.addEventListener("dp-lesson-go", (event) => go(event.detail.lesson, event.detail.step));

function drawn() {
  count();
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
