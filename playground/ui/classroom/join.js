// A visitor's answer: read from the form, and put back into it when the server draws it again.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-cell]");
  if (button) press(Number(button.dataset.cell));
});
element.addEventListener("submit", (event) => {
  event.preventDefault();
  trigger("class_answer", { round: Number(event.target.dataset.round), answer: answer() });
});

let title = "";
watch("value", () => {
  const form = element.querySelector("form[data-given]");
  if (form) {
    restore(JSON.parse(form.dataset.given));
    for (const field of "over" in form.dataset ? form.elements : []) field.disabled = true;
  }
  const heading = element.querySelector("h2");
  if (heading && heading.textContent !== title) window.scrollTo({ top: 0 }); // something else is shown
  title = heading?.textContent ?? "";
});
