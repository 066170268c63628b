// The teacher's keys, and the screen that is left to the class. What is hidden here stays hidden in this browser only.
const PRESSED = {
  " ": () => press({ asked: "class-reveal", revealed: "class-next" }[state()]),
  f: () => press(state() === "asked" ? "class-freeze" : undefined),
  h: () => element.toggleAttribute("data-hidden"),
  p: () => document.body.classList.toggle("dpc-projector"),
};

function state() {
  return element.querySelector(".dpc-board")?.dataset.state;
}

function press(id) {
  if (id) document.getElementById(id)?.click();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !state()) return;
  if (event.target.closest?.("input, textarea, select, button, a, summary, [role=listbox], [contenteditable]")) return;
  const act = PRESSED[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});
