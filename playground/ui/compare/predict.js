// The answer to a prediction: told to the server at every change, so that Run finds it there.
const tell = () => root() && trigger("predict_answer", { answer: answer(), asked: root().dataset.asked });
element.addEventListener("submit", (event) => event.preventDefault());
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-cell]");
  if (!button) return;
  press(Number(button.dataset.cell));
  tell();
});
element.addEventListener("change", tell);
watch("value", () => { // another question, or other cells: nothing is said to it yet
  question = "";
  renew();
  tell();
});
tell();
