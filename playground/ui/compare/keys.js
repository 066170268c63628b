// The keyboard and the mouse on the grid: one stop for Tab, arrows move, Enter opens, C compares, Escape lets go.
function rove(picture) {
  pictures().forEach((one) => { one.tabIndex = one === picture ? 0 : -1; });
}

function neighbour(from, key) {
  const here = from.getBoundingClientRect();
  const sideways = key === "ArrowLeft" || key === "ArrowRight";
  const sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
  const centre = (box) => [box.left + box.width / 2, box.top + box.height / 2];
  const [x, y] = centre(here);
  let best = null;
  let least = Infinity;
  for (const one of pictures()) {
    if (one === from || !one.offsetParent) continue;
    const [u, v] = centre(one.getBoundingClientRect());
    const along = sign * (sideways ? u - x : v - y);
    const aside = Math.abs(sideways ? v - y : u - x);
    if (along < 4 || (sideways && aside > here.height / 2)) continue;
    if (along + 3 * aside < least) [best, least] = [one, along + 3 * aside];
  }
  return best;
}

board.addEventListener("keydown", (event) => {
  const from = event.target.closest(".dp-picture");
  if (!from || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key.startsWith("Arrow")) {
    event.preventDefault();
    neighbour(from, event.key)?.focus();
  } else if (event.key.toLowerCase() === "c" && from.dataset.cell && from.ariaDisabled !== "true") {
    event.preventDefault();
    choose(Number(from.dataset.cell));
  } else if (event.key === "Escape") reset();
});
board.addEventListener("focusin", (event) => {
  const picture = event.target.closest(".dp-picture");
  if (picture) rove(picture);
});
board.addEventListener("click", (event) => {
  const picture = event.target.closest(".dp-picture");
  if (!picture || picture.ariaDisabled === "true") return;
  const i = Number(picture.dataset.cell);
  if (guessing) guess(i);
  else if (choosing) choose(i);
  else open(i);
});
