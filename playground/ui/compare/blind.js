// Guess blind: labels hidden, pictures shuffled. Which one is it? A tally over rounds stands beside what guessing gives.
let guessing = null; // the index that is asked for
const tally = { right: 0, rounds: 0 };

function blind() {
  if (guessing !== null || board.classList.contains("dp-blind")) return reset();
  reset();
  const there = value.cells.flatMap((cell, i) => (cell.state === "done" && !pictureOf(i).hidden ? [i] : []));
  if (there.length < 2) {
    hint.textContent = "Two finished pictures are needed.";
    return;
  }
  const places = there.map((i) => [Math.random(), i]).sort((p, q) => p[0] - q[0]).map(([, i]) => i);
  const grid = make("div", "dp-grid dp-shuffled");
  places.forEach((i) => {
    const { width, height } = value.cells[i].recipe;
    const figure = make("figure", "dp-guess");
    const picture = make("button", "dp-picture", "", { type: "button", "aria-label": "A picture", "data-guess": i });
    picture.style.aspectRatio = `${width} / ${height}`;
    picture.append(make("img", "", "", { src: seen(value.cells[i]), alt: "" }));
    picture.addEventListener("click", (event) => { event.stopPropagation(); guess(i); });
    figure.append(picture, make("p", "dp-note"));
    grid.append(figure);
  });
  board.classList.add("dp-blind");
  even(grid);
  board.append(grid);
  guessing = there[Math.floor(Math.random() * there.length)];
  const asked = value.axes.length === 1 && value.seeds === 1 ? `${value.axes[0].name} ` : "";
  say(`Which one is ${asked}${value.cells[guessing].label}?`, button("Stop guessing", reset));
}

function guess(i) {
  const asked = guessing;
  if (asked === null) return;
  guessing = null;
  tally.rounds += 1;
  tally.right += Number(i === asked);
  board.querySelectorAll(".dp-guess").forEach((figure) => {
    const at = Number(figure.querySelector("[data-guess]").dataset.guess);
    figure.querySelector(".dp-note").textContent = value.cells[at].label;
    if (at === asked) figure.dataset.answer = "right";
    else if (at === i) figure.dataset.answer = "wrong";
  });
  const many = board.querySelectorAll(".dp-guess").length;
  const verdict = i === asked ? "Yes." : `No, that is ${value.cells[i].label}.`;
  say(`${verdict} ${tally.right} of ${tally.rounds} right; chance gives 1 in ${many}.`,
      button("Another round", () => { endBlind(); blind(); }), button("Stop guessing", reset));
}

function say(text, ...buttons) {
  hint.textContent = `${text} `;
  hint.append(...buttons);
}

function endBlind() {
  guessing = null;
  board.classList.remove("dp-blind");
  board.querySelector(".dp-shuffled")?.remove();
}
