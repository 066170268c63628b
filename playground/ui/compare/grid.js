// Opens a finished cell in place. All text is set with textContent, so nothing that a person typed becomes markup.
const names = ["prompt", "negative_prompt", "sampler", "num_inference_steps", "guidance_scale", "loras", "seed",
               "width", "height", "model"];

function row(list, name, value) {
  const term = document.createElement("dt");
  const text = document.createElement("dd");
  term.textContent = name;
  const pairs = typeof value === "object" ? Object.entries(value).map((pair) => pair.join(" ")).join(", ") : value;
  text.textContent = pairs === "" ? "none" : pairs;
  list.append(term, text);
}

function button(label, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  made.addEventListener("click", action);
  return made;
}

/** Also on http://, as in a workshop's network, where browsers have no navigator.clipboard. */
async function toClipboard(text, dialog) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  dialog.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("The browser refused to copy.");
}

function open(picture) {
  const recipe = JSON.parse(picture.dataset.recipe);
  const facts = JSON.parse(picture.dataset.facts);
  const image = picture.querySelector("img");
  const dialog = document.createElement("dialog");
  dialog.className = "dp-dialog";
  dialog.setAttribute("aria-label", "Picture and recipe");
  const large = document.createElement("img");
  large.src = image.src;
  large.alt = image.alt;
  const side = document.createElement("div");
  const list = document.createElement("dl");
  names.filter((name) => name in recipe).forEach((name) => row(list, name, recipe[name]));
  Object.entries(facts).forEach(([name, value]) => row(list, name, value));
  const actions = document.createElement("p");
  const take = document.createElement("a");
  take.href = image.src;
  take.download = image.src.split("/").at(-1);
  take.textContent = "Download PNG with its recipe";
  const copy = button("Copy recipe", async () => {
    const done = await toClipboard(JSON.stringify(recipe, null, 2), dialog).then(() => true, () => false);
    copy.textContent = done ? "Copied" : "The browser refused to copy";
    copy.focus();
  });
  actions.append(take, copy, button("Close", () => dialog.close()));
  side.append(list, actions);
  dialog.append(large, side);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => { dialog.remove(); picture.focus(); });
  document.body.append(dialog);
  dialog.showModal();
}

element.addEventListener("click", (event) => {
  const picture = event.target.closest(".dp-picture");
  if (picture && !picture.disabled) open(picture);
});
