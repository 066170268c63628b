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
