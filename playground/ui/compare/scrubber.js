// The scrubber of the whole grid: lays one frame of each cell's strip over its finished picture.
const grid = () => document.querySelector("#compare-grid");
let timer = null;

function frames(cells, view, share, whole) {
  grid()?.querySelectorAll(".dp-picture[data-cell]").forEach((picture) => {
    const cell = cells[picture.dataset.cell];
    const note = picture.closest(".dp-cell").querySelector(".dp-note");
    if (!cell) return;
    note.dataset.kept ??= note.textContent;
    if (whole) {
      picture.querySelector(".dp-frame")?.remove();
      note.textContent = note.dataset.kept;
      return;
    }
    note.textContent = lay(picture, cell, view, share, "dp-frame");
  });
}

function show() {
  const bar = element.querySelector(".dp-scrub");
  if (!bar) return;
  const cells = JSON.parse(bar.dataset.cells);
  const range = bar.querySelector("input[type=range]");
  const view = bar.querySelector("input[type=radio]:checked").value;
  const n = Number(bar.dataset.frames);
  const position = Number(range.value);
  range.style.setProperty("--dp-done", `${(100 * (position - 1)) / Math.max(1, range.max - 1)}%`);
  const whole = position > n;
  frames(cells, view, position / n, whole);
  bar.querySelector("output").textContent = whole ? "finished" : `${Math.round((100 * position) / n)} % of the run`;
}

function stop() {
  clearInterval(timer);
  timer = null;
  const play = element.querySelector(".dp-play");
  if (play) {
    play.textContent = "▶";
    play.setAttribute("aria-label", "Play");
  }
}

element.addEventListener("input", show);
element.addEventListener("click", (event) => {
  if (!event.target.closest(".dp-play")) return;
  if (timer) return stop();
  const range = element.querySelector("input[type=range]");
  if (Number(range.value) >= Number(range.max)) range.value = range.min;
  event.target.textContent = "❚❚";
  event.target.setAttribute("aria-label", "Pause");
  timer = setInterval(() => {
    if (!element.isConnected || !range.isConnected || Number(range.value) >= Number(range.max)) return stop();
    range.value = Number(range.value) + 1;
    show();
  }, 160);
  show();
});
// when the server brings a new scrubber, an old playback must not go on; the finished pictures stand there already
new MutationObserver(() => {
  if (element.querySelector(".dp-scrub")) return show();
  stop();
  grid()?.querySelectorAll(".dp-frame").forEach((frame) => frame.remove());
})
  .observe(element, { childList: true, subtree: false });
