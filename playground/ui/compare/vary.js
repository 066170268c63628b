// "Vary" beside every control that can be an axis: one click takes its field across, and its values are asked for.
const AXIS_OF = { width: "size", height: "" }; // one word for both sides
const radioOf = (axis) => document.querySelector(`#vary input[value="${axis}"]`);
const rail = element.closest(".dp-rail");

let asked = ""; // the axis of the latest click

/** Its editor is shown by the server's answer, and a later answer may draw it anew: focused until 5 s after it is there,
    unless whoever asked has gone on to something else. */
function ask(axis, longest, until) {
  if (axis !== asked) return;
  const found = rail.querySelectorAll(`#values-${axis.replaceAll("_", "-")} :is(input, textarea)`);
  const editor = [...found].find((one) => one.offsetParent && !one.disabled);
  const at = document.activeElement;
  if (at && at !== editor && at !== document.body && !at.matches(".dp-vary, #vary input")) return;
  if (editor && at !== editor) editor.focus();
  if (editor) until ??= Date.now() + 5000;
  if (Date.now() < (until ?? longest)) setTimeout(ask, 100, axis, longest, until);
}

function offer() {
  for (const field of rail.querySelectorAll('[id^="field-"]:not(:has(.dp-vary))')) {
    const name = field.id.replace("field-", "").replaceAll("-", "_");
    const axis = AXIS_OF[name] ?? name;
    const label = field.querySelector('[data-testid="block-info"]')?.textContent.trim();
    if (!label || !axis || !radioOf(axis)) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "dp-vary";
    button.textContent = "Vary";
    button.setAttribute("aria-label", `Vary ${axis === "size" ? "the size" : label.toLowerCase()}`);
    button.addEventListener("click", () => {
      asked = axis;
      radioOf(axis).click();
      ask(axis, Date.now() + 60000);
    });
    field.append(button);
  }
}

offer();
new MutationObserver(offer).observe(rail, { childList: true, subtree: true }); // what is folded is not there yet
