// What a person can press, drag and type, and what it does to the view.

function go(layer) {
  const to = Math.min(photo.layers.length - 1, Math.max(0, layer));
  Object.assign(view, { phrase: null, pinned: false, layer: to });
  draw();
  if (!timer) find("spoken").textContent = `layer ${photo.layers[to]}`;
}

function fade(opacity) {
  choose({ opacity: Math.min(1, Math.max(0, Math.round(100 * opacity) / 100)) });
}

function choose(change) {
  Object.assign(view, change);
  draw();
}

function show(shown) {
  if (shown === "seen" && !photo.seen) return;
  picture.view(shown);
  choose({ shown });
}

function play() {
  const going = timer !== null;
  clearInterval(timer);
  timer = going || photo.layers.length < 2 ? null : setInterval(() => go((view.layer + 1) % photo.layers.length), PACE);
  find("play").textContent = timer ? "❚❚" : "▶";
  find("play").setAttribute("aria-pressed", String(timer !== null));
}

function leaf(step) {
  const to = view.at + step;
  if (to >= 0 && to < photos.length) open(to);
}

function help() {
  if (find("help").open) find("help").close();
  else find("help").showModal();
}

function erase() {
  eraser.turn(!eraser.on);
  drawControls();
}

function box() {
  eraser.box(eraser.where ? null : [0.4, 0.4, 0.2, 0.2]);
  eraser.redraw();
  drawControls();
  if (eraser.where) find("hider").focus();
}

function undo() { eraser.undo(); drawControls(); }

function clear() { eraser.clear(); drawControls(); }

const keys = {
  ArrowLeft: () => go(view.layer - 1), ArrowRight: () => go(view.layer + 1),
  Home: () => go(0), End: () => go(photo.layers.length - 1),
  ArrowUp: () => fade(view.opacity + 0.05), ArrowDown: () => fade(view.opacity - 0.05),
  PageUp: () => leaf(-1), PageDown: () => leaf(1), " ": play, "?": help,
  0: () => show(view.shown === "photo" ? "map" : "photo"), v: () => show(view.shown === "seen" ? "map" : "seen"),
  o: () => choose({ outline: !view.outline }), e: erase, b: box, u: undo,
  s: () => choose({ scale: view.scale === "own" ? "shared" : "own" }), n: () => choose({ smooth: !view.smooth }),
  Escape: () => choose({ phrase: null, pinned: false }),
};

/** Whether a key belongs to the element that has the focus, and not to the page. */
function taken(event) {
  const target = event.target, slides = target.type === "range" && target.id !== "slider", moves = /^(Arrow|Home|End|Page)/.test(event.key);
  if (event.ctrlKey || event.metaKey || event.altKey || find("help").open) return event.key !== "?";
  if (event.key === " ") return Boolean(target.closest("button, summary, input"));
  return moves && (slides || Boolean(target.closest(".scroll, pre")));
}

document.addEventListener("keydown", (event) => {
  if (!photo || taken(event)) return;
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key] || (/^[1-9]$/.test(event.key) && (() => choosePanel(Number(event.key) - 1)));
  if (!act) return;
  event.preventDefault();
  act();
});

const clicks = {
  back: () => go(view.layer - 1), next: () => go(view.layer + 1), play, ask: help, erase, box, undo, clear,
  own: () => choose({ scale: "own" }), shared: () => choose({ scale: "shared" }),
  smooth: () => choose({ smooth: true }), cells: () => choose({ smooth: false }), outline: () => choose({ outline: !view.outline }),
  "show-map": () => show("map"), "show-photo": () => show("photo"), seen: () => show("seen"),
};
for (const [id, act] of Object.entries(clicks)) find(id).addEventListener("click", act);
find("slider").addEventListener("input", (event) => go(Number(event.target.value)));
find("opacity").addEventListener("input", (event) => fade(Number(event.target.value) / 100));
find("brush").addEventListener("input", (event) => { eraser.size = Number(event.target.value) / 100; });
for (const button of document.querySelectorAll("#strip button")) button.addEventListener("click", () => open(Number(button.dataset.photo)));

for (const name of ["pointermove", "pointerdown"]) find("frame").addEventListener(name, (event) => { view.where = picture.at(event); point(); });
find("frame").addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") { view.where = null; point(); } });
addEventListener("resize", () => {
  if (!choice || !choice.parts.course) return;
  choice.parts.course.resize();
  draw();
});
open(0);
