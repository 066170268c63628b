// Puts away each run that was made here, numbers and small pictures, in this browser only: the quiz asks about them.
const RUNS = "dp-runs";

function put() {
  const made = element.querySelector("[data-run]");
  if (!made) return;
  try {
    const { name, ...run } = JSON.parse(made.dataset.run);
    const runs = JSON.parse(localStorage.getItem(RUNS) ?? "{}");
    runs[name] = run;
    localStorage.setItem(RUNS, JSON.stringify(runs));
    document.dispatchEvent(new CustomEvent("dp-run-kept"));
  } catch {
    // a full or forbidden storage loses the run for the quiz, not the lesson
  }
}

watch("value", put);
