// One frame of a run's strip, laid over the cell's finished picture; the page and the exported file show it alike.

/** The place in the strip of the frame that is nearest to this share of the cell's own run. */
function nearest(cell, share) {
  let at = 0;
  cell.calls.forEach((k, j) => {
    if (Math.abs(k / cell.of - share) < Math.abs(cell.calls[at] / cell.of - share)) at = j;
  });
  return at;
}

/** Shows that frame over the picture, and gives what is said of it. */
function lay(picture, cell, view, share, className) {
  let frame = picture.querySelector(`.${className}`);
  if (!frame) {
    frame = document.createElement("span");
    frame.className = className;
    picture.append(frame);
  }
  const last = cell.calls.length - 1;
  const at = nearest(cell, share);
  frame.style.backgroundImage = `url("${cell[view]}")`;
  frame.style.backgroundSize = `${100 * (last + 1)}% 100%`;
  frame.style.backgroundPosition = `${last ? (100 * at) / last : 0}% 0`;
  return `call ${cell.calls[at]} of ${cell.of} · t = ${cell.t[at]}`;
}
