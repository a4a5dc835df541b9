// Sorting, search and the way of the arrow keys over the cards of an index.
const list = document.getElementById("cards");
const cards = [...list.children];
const controls = Object.fromEntries(["order", "query", "wrong"].map((id) => [id, document.getElementById(id)]));

/** A number of a card; what is not known goes last in every order. */
function number(card, key, otherwise) {
  return card.dataset[key] === "" ? otherwise : Number(card.dataset[key]);
}

const orders = {
  given: () => 0,
  wrong: (a, b) => (b.dataset.right === "false") - (a.dataset.right === "false"),
  unsure: (a, b) => number(a, "confidence", Infinity) - number(b, "confidence", Infinity),
  sure: (a, b) => number(b, "confidence", -1) - number(a, "confidence", -1),
  narrow: (a, b) => number(a, "area", Infinity) - number(b, "area", Infinity),
  wide: (a, b) => number(b, "area", -1) - number(a, "area", -1),
  name: (a, b) => a.dataset.name.localeCompare(b.dataset.name, undefined, { numeric: true }),
};

function arrange() {
  list.replaceChildren(...[...cards].sort((a, b) => orders[controls.order.value](a, b) || cards.indexOf(a) - cards.indexOf(b)));
}

function filter() {
  const words = controls.query.value.trim().toLowerCase();
  let count = 0;
  for (const card of cards) {
    card.hidden = (controls.wrong?.checked && card.dataset.right !== "false") || !card.dataset.words.includes(words);
    count += !card.hidden;
  }
  document.getElementById("count").textContent = `${count} of ${cards.length} photos`;
  document.getElementById("none").hidden = count > 0;
}

/** The card that a key leads to from the one with the focus. */
function neighbour(key) {
  const shown = [...list.children].filter((card) => !card.hidden);
  const at = shown.findIndex((card) => card.contains(document.activeElement));
  if (at < 0) return null;
  const columns = getComputedStyle(list).gridTemplateColumns.split(" ").length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  const to = key === "Home" ? 0 : key === "End" ? shown.length - 1 : at + step;
  return shown[to]?.querySelector("a");
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select")) return;
  if (event.key === "/") {
    event.preventDefault();
    controls.query.focus();
    return;
  }
  const next = /^(Arrow|Home$|End$)/.test(event.key) ? neighbour(event.key) : null;
  if (!next) return;
  event.preventDefault();
  next.focus();
});
document.getElementById("choices").addEventListener("submit", (event) => event.preventDefault());
controls.order.addEventListener("change", arrange);
controls.query.addEventListener("input", filter);
controls.wrong?.addEventListener("change", filter);
document.getElementById("choices").hidden = false;
arrange();
filter();
