// What the model knows: offers as one types, and a list to choose from. All text is set with textContent.
const MOST_OFFERS = 6;
const MOST_LISTED = 60;
const offers = element.querySelector(".dp-offers");
const find = element.querySelector("input");
const list = element.querySelector(".dp-things");
const things = [...props.common, ...props.rare];
const BACKGROUND = /,?\s*(?:on an?\s+)?(?:[\p{L}]+)\s+background\s*$/iu;

const prompt = () => document.querySelector("#field-prompt textarea, #field-prompt input");

function put(text) {
  const field = prompt();
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  offer();
}

/** While the prompt is varied its field is not used: nothing is put there. */
function follow() {
  const off = Boolean(prompt()?.disabled); // it may come later than what stands under it
  const buttons = [...element.querySelectorAll("button"), document.querySelector("#surprise")];
  for (const button of buttons) if (button && button.disabled !== off) button.disabled = off;
}

function chip(text, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", action);
  return made;
}

/** The thing takes the place of what stands there; the background stays. */
const subject = (thing) => put(thing + (prompt().value.match(BACKGROUND)?.[0] ?? ""));
const background = (hue) => put(`${prompt().value.replace(BACKGROUND, "")}, ${hue} background`.replace(/^, /, ""));

/** Under the prompt: things of which the end of the text is the beginning. */
function offer() {
  const text = prompt().value;
  const begun = text.match(/[\p{L}-]+(?: [\p{L}-]+)?$/u)?.[0].toLowerCase() ?? "";
  const ends = [begun, begun.split(" ").at(-1)].filter((end) => end.length > 1);
  const end = ends.find((one) => things.some((thing) => thing.startsWith(one) && thing !== one));
  const found = end ? things.filter((thing) => thing.startsWith(end) && thing !== end).slice(0, MOST_OFFERS) : [];
  const shown = found.length > 0 && document.activeElement === prompt();
  offers.hidden = !shown;
  const chips = found.map((thing) => chip(thing, () => {
    put(text.slice(0, text.length - end.length) + thing);
    prompt().focus();
    offers.hidden = true;
  }));
  offers.replaceChildren(...(shown ? chips : []));
}

function fill() {
  const wanted = find.value.trim().toLowerCase();
  const found = things.filter((thing) => thing.includes(wanted));
  list.replaceChildren(...found.slice(0, MOST_LISTED).map((thing) => chip(thing, () => subject(thing))));
  const more = document.createElement("span");
  more.textContent = found.length > MOST_LISTED ? `and ${found.length - MOST_LISTED} more` : found.length ? "" : "none";
  list.append(more);
  follow();
}

element.querySelector(".dp-known p").textContent =
  `${things.length.toLocaleString("en")} things, the first ${props.common.length} of them shown most often. ` +
  "Best asked as it was taught: “red apple, blue background”. Its captions gave things colours, numbers and sides, and " +
  "a plain background; materials and scenes, “a castle made of glass” or “a cat on a beach”, were in none, even where " +
  "each word was.";
element.querySelector(".dp-hues").append(...props.colours.map((hue) => chip(hue, () => background(hue))));
element.querySelector(".dp-styles").append(
  ...props.styles.map((style) => chip(style, () => put(`${prompt().value.replace(/\s+$/, "")}, ${style}`.replace(/^, /, "")))),
);
find.addEventListener("input", fill);
find.addEventListener("keydown", (event) => { if (event.key === "Enter") list.querySelector("button")?.click(); });
document.addEventListener("input", (event) => { if (event.target === prompt()) offer(); });
document.addEventListener("focusout", (event) => {
  if (event.target === prompt() && !offers.contains(event.relatedTarget)) offers.hidden = true;
});
fill();
new MutationObserver(follow).observe(element.closest(".dp-rail"), { // in which the field is made anew at times
  attributes: true, childList: true, subtree: true, attributeFilter: ["disabled"],
});
