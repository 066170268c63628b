// The diagram: one box is open at a time. Which one is kept here, because every step of a run brings new HTML.
function open(key) {
  element.dataset.open = key;
  apply();
}

function apply() {
  for (const box of element.querySelectorAll(".dpi-box")) {
    const expanded = String(box.dataset.opens === element.dataset.open);
    if (box.getAttribute("aria-expanded") !== expanded) box.setAttribute("aria-expanded", expanded);
  }
}

element.addEventListener("click", (event) => {
  const box = event.target.closest(".dpi-box");
  if (box) {
    open(box.dataset.opens);
    element.querySelector(".dpi-panels").scrollIntoView({ block: "nearest" });
  }
  const link = event.target.closest("[data-goes]");
  const goal = link && document.getElementById(link.dataset.goes);
  if (goal) {
    goal.scrollIntoView({ block: "start" });
    goal.tabIndex = -1; // so that the keyboard goes on from there
    goal.focus({ preventScroll: true });
  }
});
new MutationObserver(apply).observe(element, {
  childList: true, subtree: true, attributes: true, attributeFilter: ["aria-expanded"],
});
open("tokens");
// nobody pays for the autoencoder before this tab is looked at, nor twice
if (!document.querySelector(".dpi-trip")) trigger("opened");
