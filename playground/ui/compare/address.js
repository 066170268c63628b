// The address carries the grid that is shown, and this browser remembers its own grids; nobody else sees them.
// Beside other models a page has the address /m/NAME/ and its own list: what a token leaves out is the model's own.
const MODEL = /\/m\/([^/]+)\/?$/.exec(location.pathname)?.[1];
const KEPT = `diffusion-playground-grids${MODEL ? `-${MODEL}` : ""}`;
const MOST = 40;

function history() {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT));
    return Array.isArray(found) ? found.filter((one) => typeof one?.token === "string") : [];
  } catch {
    return []; // damaged, or a browser that keeps nothing
  }
}

function keep(list) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(list.slice(0, MOST)));
  } catch { /* a browser that keeps nothing: then there is no history */ }
}

/** From now on the address has this token; `tokenHere` is of tab.py, which reads it for the server as well. */
function visit(token) {
  if (tokenHere() === token) return;
  const there = new URL(location.href);
  const long = token.length > words.longest;
  if (long) there.searchParams.delete("grid");
  else there.searchParams.set("grid", token);
  window.history.pushState(long ? { grid: token } : null, "", there);
}

/** A grid has come: the visitor's own goes into the address and to the top of the history. */
function visited(grid) {
  if (!grid.own || !grid.token) return;
  visit(grid.token);
  const list = history();
  if (list[0]?.token === grid.token) return;
  keep([{ token: grid.token, title: grid.caption.join(" · ") }, ...list.filter((one) => one.token !== grid.token)]);
  listPast();
}

/** Ask the server for the grid of the address; without a token it is the grid that the page opens with. */
const go = () => trigger("address");

window.addEventListener("popstate", () => {
  if (element.isConnected) go();
});

const past = element.querySelector(".dp-past");

function listPast() {
  const list = history();
  past.hidden = !list.length;
  const items = make("ol");
  list.forEach((one) => {
    const item = make("li");
    item.append(button(one.title, () => {
      visit(one.token);
      go();
    }));
    items.append(item);
  });
  const forget = button("Forget them all", () => { keep([]); listPast(); });
  past.replaceChildren(make("summary", "", `Your grids (${list.length})`), items, forget);
}

listPast();
watch("value", receive);
receive();
