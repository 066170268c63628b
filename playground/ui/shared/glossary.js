// Words of the glossary are underlined in the page's texts and explained when clicked. The texts belong to Gradio, which
// writes into its text nodes, so nothing is wrapped: words are marked through the CSS Custom Highlight API, and a click
// looks up what stands under the pointer. With the keyboard, the button opens the whole list.
const TEXTS = ".dp-say, .dp-words, .dp-total, .dp-ask, .dp-lead, .dp-quiet, [data-testid='block-info']";
const CONTROLS = "button, a, input, select, textarea"; // which keep what they do when clicked
const LATER = 300; // ms after the page has changed
const byWord = new Map();
for (const entry of props.entries) for (const word of entry.words) byWord.set(word.toLowerCase(), entry);
const longestFirst = [...byWord.keys()].sort((a, b) => b.length - a.length);
const escaped = longestFirst.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
const pattern = new RegExp(`(?<![\\p{L}\\p{M}_])(?:${escaped.join("|")})(?![\\p{L}\\p{M}_₀-₉])`, "giu");

const sheet = new CSSStyleSheet();
// Where the system gives the colours, marked words would be painted like selected ones, unless their texts take the
// system's colour themselves.
sheet.replaceSync(`::highlight(dp-term) { text-decoration: underline dotted; text-underline-offset: 3px; }
  @media (forced-colors: active) {
    :is(${TEXTS}) { forced-color-adjust: none; }
    :is(${TEXTS}) :is(${CONTROLS}) { forced-color-adjust: auto; }
    :is(${TEXTS}), :is(${TEXTS}) :not(:is(${CONTROLS}), :is(${CONTROLS}) *) {
      background-color: transparent !important; color: CanvasText !important; }
  }`);
document.adoptedStyleSheets.push(sheet);

const marked = globalThis.Highlight ? new Highlight() : null;
if (marked) CSS.highlights.set("dp-term", marked);

/** The first time that each word stands in each text. */
function mark() {
  marked.clear();
  for (const text of document.querySelectorAll(TEXTS)) {
    const seen = new Set();
    const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.parentElement.closest(`${CONTROLS}, code, .dp-ask label`)) continue;
      for (const found of node.data.matchAll(pattern)) {
        const entry = byWord.get(found[0].toLowerCase());
        if (seen.has(entry)) continue;
        seen.add(entry);
        const range = new Range();
        range.setStart(node, found.index);
        range.setEnd(node, found.index + found[0].length);
        marked.add(range);
      }
    }
  }
}

function underPointer(event) {
  for (const range of marked) {
    if (!range.startContainer.isConnected) continue;
    for (const box of range.getClientRects()) {
      if (event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top
          && event.clientY <= box.bottom) return byWord.get(range.toString().toLowerCase());
    }
  }
  return null;
}

/** The whole list, at the entry that was asked for. All text is set with textContent. */
function open(asked) {
  const dialog = document.createElement("dialog");
  dialog.className = "dp-dialog dp-glossary";
  dialog.setAttribute("aria-label", "Glossary");
  const list = document.createElement("dl");
  for (const entry of props.entries) {
    const term = document.createElement("dt");
    const means = document.createElement("dd");
    term.textContent = entry.term;
    means.textContent = entry.means;
    if (entry === asked) term.setAttribute("aria-current", "true");
    list.append(term, means);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.append(close, list);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  list.querySelector("[aria-current]")?.scrollIntoView({ block: "center" });
}

element.querySelector("button").addEventListener("click", () => open(null));
if (marked) {
  let waiting = 0;
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(mark, LATER);
  };
  new MutationObserver(later).observe(document.body, { childList: true, subtree: true, characterData: true });
  later();
  document.addEventListener("click", (event) => {
    if (event.target.closest(`${CONTROLS}, dialog, .dp-ask label`)) return;
    const entry = underPointer(event);
    if (!entry) return;
    event.preventDefault(); // a word in a label does not press its control
    open(entry);
  });
}
