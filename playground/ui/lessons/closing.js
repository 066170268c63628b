// Below the lessons: how far one is, the way on from the end of a long page on a phone, and the doors to the quiz, the
// sheet and a class.
const onward = element.querySelector("[data-act=onward]");

/** How many runs were made in this browser, beside the way to the quiz about them. */
function count() {
  let runs = 0;
  try {
    runs = Object.keys(JSON.parse(localStorage.getItem("dp-runs") ?? "{}")).length;
  } catch {
    // no storage, or not ours
  }
  const own = runs === 1 ? "1 step" : `${runs} steps`;
  const some = `You have run ${own} of the lessons so far. The quiz asks about those, and fills up with runs drawn beforehand, marked so.`;
  const none = "You have run no step of a lesson yet. Until you do, the quiz asks about runs drawn beforehand, marked so.";
  element.querySelector("[data-runs]").textContent = runs ? some : none;
}

element.addEventListener("click", (event) => {
  const act = event.target.closest("button")?.dataset.act;
  if (act === "onward") document.dispatchEvent(new Event("dp-lesson-onward"));
  else if (act) document.dispatchEvent(new CustomEvent("dp-desk", { detail: act }));
});
document.addEventListener("dp-run-kept", count);
document.addEventListener("dp-lesson-drawn", (event) => { onward.textContent = event.detail; });
onward.textContent = document.querySelector("#lesson-rail .dpl-onward > button:last-child")?.textContent ?? "Next step";
count();
