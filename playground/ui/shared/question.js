// The form of a lesson's question: what is in it, and how an answer is put back. Whoever uses it has it before its own
// script; the form stands in `.dp-asking`, whose data-kind is the kind of the question.
const root = () => element.querySelector(".dp-asking");
let order = []; // the cells of an order question as they were pressed
let question = ""; // the one whose fields stand there

/** What is in the form, in the shape of its kind; null where nothing was said. */
function answer() {
  const kind = root().dataset.kind;
  if (kind === "curve") {
    const heights = [...element.querySelectorAll(".dp-curve input")].map((bar) => Number(bar.value));
    return heights.some((height) => height !== heights[0]) ? heights : null;
  }
  if (kind === "order") return order.length === element.querySelectorAll(".dp-order button").length ? [...order] : null;
  const chosen = element.querySelector('input[name="dp-answer"]:checked');
  if (!chosen) return null;
  return kind === "trend" ? chosen.value : Number(chosen.value);
}

/** Another question begins without an answer: Gradio keeps what two questions have alike, what was chosen as well. */
function renew() {
  const legend = element.querySelector(".dp-asking legend")?.textContent ?? "";
  if (legend === question) return;
  question = legend;
  order = [];
  for (const radio of element.querySelectorAll('input[name="dp-answer"]')) radio.checked = false;
  for (const bar of element.querySelectorAll(".dp-curve input")) bar.value = bar.defaultValue;
}

/** Puts a remembered answer back into the form. */
function restore(value) {
  renew();
  const kind = root().dataset.kind;
  order = kind === "order" && Array.isArray(value) ? [...value] : [];
  if (kind === "curve" && Array.isArray(value)) {
    element.querySelectorAll(".dp-curve input").forEach((bar, i) => { bar.value = value[i] ?? 0; });
  } else if (kind === "order") {
    number();
  } else if (value !== null && value !== undefined) {
    const chosen = element.querySelector(`input[name="dp-answer"][value="${CSS.escape(String(value))}"]`);
    if (chosen) chosen.checked = true;
  }
}

/** Shows the places in an order. */
function number() {
  for (const button of element.querySelectorAll(".dp-order button")) {
    const at = order.indexOf(Number(button.dataset.cell));
    button.setAttribute("aria-pressed", String(at >= 0));
    button.querySelector("b").textContent = at < 0 ? "" : `${at + 1}.`;
  }
}

/** A cell of an order takes the next place, or gives its own back. */
function press(cell) {
  const at = order.indexOf(cell);
  if (at < 0) order.push(cell); else order.splice(at, 1);
  number();
}

