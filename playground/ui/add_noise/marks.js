// Marks the timesteps that a sampler visits on the timeline of the stage. `element` holds the sentence under the field
// "Steps", and with it the list; a timestep at t stands t/999 of the way between the slider's two ends.

function mark() {
  const list = element.querySelector("[data-visits]")?.dataset.visits;
  const ruler = document.querySelector(".dpn-marks");
  if (list === undefined || !ruler) return false;
  ruler.replaceChildren(
    ...list.split(",").filter(Boolean).map((t) => {
      const tick = document.createElement("span");
      tick.style.left = `${(100 * Number(t)) / 999}%`;
      return tick;
    }),
  );
  return true;
}
watch("value", mark);
// the stage may be put on the page a moment after this element
let tries = 0;
const wait = () => mark() || (tries++ < 100 && setTimeout(wait, 50));
wait();
