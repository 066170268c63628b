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
