// The arrow keys go from tab to tab, as they do wherever there is a list of tabs.
document.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const tab = step && event.target.closest?.('[role="tab"]');
  const list = tab && tab.closest('[role="tablist"]');
  if (!list) return;
  const shown = [...list.querySelectorAll('[role="tab"]')].filter((other) => other.offsetParent);
  const next = shown[(shown.indexOf(tab) + step + shown.length) % shown.length];
  event.preventDefault();
  next.click();
  next.focus();
});

// Gradio gives every radio a name of its own. Those of a group share one here, so that the browser makes them what they
// look like: one stop for Tab, and arrow keys that go from one to the next.
new MutationObserver(() => {
  for (const radio of document.querySelectorAll('fieldset input[type="radio"]')) {
    const { name } = radio.closest("fieldset").querySelector('input[type="radio"]');
    if (radio.name !== name) radio.name = name;
  }
}).observe(document, { childList: true, subtree: true });

// A button that names a tab opens it, also where a small screen keeps that one in a menu.
document.addEventListener("click", (event) => {
  const name = event.target.closest?.("button[data-tab]")?.dataset.tab;
  const tabs = name ? [...document.querySelectorAll('[role="tab"], .overflow-dropdown button')] : [];
  tabs.find((tab) => tab.textContent.trim() === name)?.click();
});

// On a phone the pictures are far below the button that asks for them; what was refused is said above it.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#run, #denoise-run, #inside-run");
  if (!button || !matchMedia("(max-width: 800px)").matches) return;
  const rail = button.closest(".dp-rail");
  const toFault = () => {
    const fault = [...rail.querySelectorAll('[role="alert"]')].find((one) => one.checkVisibility());
    fault?.scrollIntoView({ block: "center" });
    return Boolean(fault);
  };
  if (toFault()) return;
  rail.closest(".dp-columns").querySelector(".dp-stage .dp-say").scrollIntoView({ block: "start" });
  const changes = new MutationObserver(() => { if (toFault()) changes.disconnect(); });
  changes.observe(rail, { childList: true, subtree: true });
  setTimeout(() => changes.disconnect(), 5000); // later ones are of something else
});

// What runs tell on their way is read aloud as well: the newest text of whatever is marked dp-aloud, of the tab in view,
// and not more often than one can listen to.
(() => {
  const SECONDS = 2.5;
  const said = new Map(); // by the element's place: its own are made anew with every update
  let told = null;
  const look = () => {
    if (told === null) { // it must stand there before it says something
      told = document.createElement("p");
      told.className = "dp-hidden";
      told.id = "aloud";
      told.setAttribute("role", "status");
      document.body.append(told);
      return;
    }
    for (const element of document.querySelectorAll(".dp-aloud")) {
      if (!element.checkVisibility()) continue;
      const place = element.closest("[id]").id;
      const text = element.textContent.trim();
      if (said.get(place) === text) continue;
      said.set(place, text);
      if (text) told.textContent = text;
    }
  };
  setInterval(look, 1000 * SECONDS);
})();
