// The closing quiz and the sheet for paper. The seed, the runs it asks about and the answers are kept in this browser;
// the server builds the same questions from them with each event, and is never told a name.
const QUIZ = "dp-quiz", RUNS = "dp-runs", LESSONS = "dp-lessons", NAME = "dp-name";

function read(key) {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? "null");
    return found && typeof found === "object" && !Array.isArray(found) ? found : null;
  } catch {
    return null; // no storage, or not ours
  }
}

function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // a full or forbidden storage loses the place, not the quiz
  }
}

/** The runs without their pictures, which the server does not need. */
function numbers() {
  return Object.fromEntries(Object.entries(read(RUNS) ?? {}).map(([name, run]) => [name, { of: run?.of, values: run?.values }]));
}

function begun() {
  return { seed: crypto.getRandomValues(new Uint32Array(1))[0], runs: numbers(), answers: [], feedback: false };
}

let quiz = read(QUIZ);
if (quiz && !Array.isArray(quiz.answers)) quiz = null;
let order = []; // the cells of an order question as they were pressed
let moved = false; // what is drawn next was asked for here: the keyboard goes on from it

/** `change`: what is new about the sitting. */
function show(change) {
  quiz = { ...(quiz ?? begun()), ...change };
  order = [];
  write(QUIZ, quiz);
  trigger("quiz_show", { seed: quiz.seed, runs: quiz.runs, answers: quiz.answers, feedback: quiz.feedback });
}

function open() {
  moved = true;
  // a sitting that has not begun takes in what was run since
  show(quiz?.answers.length ? { open: true } : { ...begun(), open: true });
}

function sheet() {
  moved = true;
  const sitting = quiz && { seed: quiz.seed, runs: quiz.runs, answers: quiz.answers };
  trigger("quiz_sheet", { done: read(LESSONS)?.answers ?? {}, runs: numbers(), quiz: sitting });
}

function close() {
  if (quiz) write(QUIZ, (quiz = { ...quiz, open: false }));
  trigger("quiz_close");
  document.querySelector("#lesson-rail .dp-asking h2")?.focus();
}

function answer(form) {
  if (form.dataset.kind === "order") {
    return order.length === form.querySelectorAll("button[data-cell]").length ? [...order] : null;
  }
  const chosen = form.querySelector("input:checked");
  return chosen && (form.dataset.kind === "trend" ? chosen.value : Number(chosen.value));
}

/** One that is empty is not kept; the server says what is missing. */
function submit(form) {
  const given = answer(form);
  if (given === null) {
    const { seed, runs, answers } = quiz;
    moved = true;
    trigger("quiz_show", { seed, runs, answers: [...answers, null], feedback: false });
    return;
  }
  moved = true;
  show({ answers: [...quiz.answers, given], feedback: true });
}

function number() {
  for (const button of element.querySelectorAll(".dpq-ask button[data-cell]")) {
    const at = order.indexOf(Number(button.dataset.cell));
    button.setAttribute("aria-pressed", String(at >= 0));
    button.querySelector("b").textContent = at < 0 ? "" : `${at + 1}.`;
  }
}

/** The pictures of the visitor's own runs, and on the sheet the name and the day. */
function fill() {
  const runs = read(RUNS) ?? {};
  for (const image of element.querySelectorAll("img[data-name]")) {
    const picture = runs[image.dataset.name]?.pictures?.[Number(image.dataset.at)];
    if (typeof picture === "string" && picture.startsWith("data:image/")) image.src = picture;
  }
  const field = element.querySelector(".dpp-tools input");
  if (!field) return;
  field.value = read(NAME)?.name ?? "";
  named(field);
  const now = new Date();
  const day = element.querySelector(".dpp-who time");
  day.dateTime = now.toISOString();
  day.textContent = now.toLocaleDateString(undefined, { year: "numeric", month: "long", day: "numeric" });
}

function named(field) {
  element.querySelector(".dpp-name").textContent = field.value;
  write(NAME, { name: field.value });
}

const acts = {
  close,
  sheet,
  next: () => { moved = true; show({ feedback: false }); },
  anew: () => { moved = true; show({ ...begun(), open: true }); },
  print: () => window.print(),
};

element.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-to]");
  if (link) {
    event.preventDefault();
    const { lesson, to } = link.dataset;
    close();
    document.dispatchEvent(new CustomEvent("dp-lesson-go", { detail: { lesson, step: Number(to) } }));
    return;
  }
  const button = event.target.closest("button");
  if (!button) return;
  acts[button.dataset.act]?.();
  if (button.dataset.cell === undefined) return;
  const cell = Number(button.dataset.cell);
  const at = order.indexOf(cell);
  if (at < 0) order.push(cell); else order.splice(at, 1);
  number();
});
element.addEventListener("input", (event) => {
  if (event.target.matches(".dpp-tools input")) named(event.target);
});
element.addEventListener("submit", (event) => {
  event.preventDefault();
  submit(event.target);
});
document.addEventListener("dp-desk", (event) => { if (event.detail === "quiz") open(); else sheet(); });

watch("value", () => {
  const drawn = element.querySelector(".dpq");
  if (quiz && drawn) quiz.answers = quiz.answers.slice(0, Number(drawn.dataset.answered)); // the rest were no answers
  fill();
  number();
  if (moved) {
    element.querySelector(".dpq [data-act=next], .dpq legend, .dpq h3, .dpp h1")?.focus({ preventScroll: true });
    element.scrollIntoView({ block: "start" });
  }
  moved = false;
});
if (quiz?.open) show({});
