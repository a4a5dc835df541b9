// The page: what is looked at (the view), and how a person changes it.

const MOST_SHOWN = 6, LEAST_SIDE = 320, PACE = 700;
const find = (id) => document.getElementById(id);
const read = (id) => JSON.parse(find(id).textContent);

const common = read("common");
common.unsigned = bytesOf(common.unsigned);
common.signed = bytesOf(common.signed);

const photos = [...document.querySelectorAll('script[id^="photo-"]')].map((script) => script.id);
const view = { at: 0, layer: 0, opacity: 0.6, scale: "own", smooth: true, phrase: null, pinned: false, where: null, measure: "concentration", plain: true };
let photo = null, panels = [], flows = [], plain = null, timer = null, turn = 0;

/** The photo's pixels, enlarged in whole steps if it is tiny. */
async function pixelsOf(data) {
  const image = new Image();
  image.src = data.image;
  await image.decode();
  const times = Math.max(1, Math.ceil(LEAST_SIDE / Math.max(data.width, data.height)));
  const canvas = make("canvas");
  [canvas.width, canvas.height] = [data.width * times, data.height * times];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.imageSmoothingEnabled = false;
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

/** Show a photo with its panels; the layer stays where a layer of that name exists, else the last is taken. */
async function open(at) {
  const mine = ++turn, data = read(photos[at]), pixels = await pixelsOf(data);
  if (mine !== turn) return;
  const name = photo && photo.layers[view.layer], hidden = panels.map((panel) => panel.root.hidden);
  Object.assign(view, { at, phrase: null, pinned: false, where: null });
  photo = data;
  const same = data.layers.indexOf(name);
  view.layer = same < 0 ? data.layers.length - 1 : same;
  panels = data.panels.map((panel, place) => new Panel(panel, place + 1, { photo: data, pixels, common }));
  panels.forEach((panel, place) => { panel.root.hidden = hidden.length === panels.length ? hidden[place] : place >= MOST_SHOWN; });
  flows = panels.filter((panel) => panel.data.course || panel.data.remarks.length).map((panel) => new FlowView(panel, { photo: data, pixels, common, go }));
  furnish(pixels);
  draw();
}

/** Put the photo, the panels and their toggles into the page. */
function furnish(pixels) {
  plain = makeFrame(photo, [pixels.width, pixels.height], photo.photo ? `the photo ${photo.source}` : "no photo was kept");
  plain.canvas.getContext("2d").putImageData(pixels, 0, 0);
  const figure = make("figure", "panel photo"), head = make("header");
  head.append(make("h2", "", photo.photo ? (photo.wide ? "Input" : "Photo") : "No photo"), make("p", "decided", photo.photo ? "as the network saw it" : "the picture was not kept"));
  figure.hidden = !view.plain;
  figure.append(head, plain.frame);
  find("panels").replaceChildren(figure, ...panels.map((panel) => panel.root));
  for (const id of ["panels", "flows"]) find(id).classList.toggle("wide", photo.wide);
  find("flows").replaceChildren(...flows.map((flow) => flow.root));
  plain.root = figure;
  find("source").textContent = photos.length > 1 ? photo.source : "";
  find("toggles").replaceChildren(...panels.map(toggleFor));
  find("slider").max = photo.layers.length - 1;
  for (const id of ["slider", "play", "back", "next"]) find(id).disabled = photo.layers.length < 2;
  find("track").hidden = photo.layers.length < 2;
  for (const frame of [plain, ...panels]) listen(frame.frame);
  panels.forEach(listenToPhrases);
  for (const thumb of document.querySelectorAll("#strip button")) {
    const current = Number(thumb.dataset.photo) === view.at;
    thumb.setAttribute("aria-current", String(current));
    if (current) thumb.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

function toggleFor(panel) {
  const button = make("button", `toggle c${panel.number}`);
  button.type = "button";
  button.append(make("span", "chip", String(panel.number)), make("span", "words", `${panel.data.method} · ${panel.data.label}`));
  button.title = panel.data.label;
  button.addEventListener("click", () => toggle(panel.number));
  panel.toggle = button;
  return button;
}

function toggle(number) {
  const panel = panels[number - 1];
  if (!panel) return;
  panel.root.hidden = !panel.root.hidden;
  draw();
}

/** Redraw all that is visible. */
function draw() {
  const shown = panels.filter((panel) => !panel.root.hidden);
  for (const panel of panels) panel.toggle.setAttribute("aria-pressed", String(!panel.root.hidden));
  for (const panel of shown) panel.draw(view);
  for (const flow of flows) flow.root.hidden = flow.panel.root.hidden;
  for (const flow of flows) if (!flow.root.hidden) flow.draw(view);
  find("panels").classList.toggle("none", !shown.length);
  place(plain.box, view.phrase ? view.phrase.phrase.box : null);
  drawControls(shown);
  point();
}

function drawControls(shown) {
  const layer = photo.layers[view.layer], slider = find("slider"), count = photo.layers.length;
  find("layer").textContent = slider.title = layer;
  find("count").textContent = `${view.layer + 1} of ${count}`;
  slider.value = view.layer;
  slider.setAttribute("aria-valuetext", `${layer}, ${view.layer + 1} of ${count}`);
  find("opacity").value = Math.round(100 * view.opacity);
  find("share").textContent = `${Math.round(100 * view.opacity)} %`;
  const pressed = { own: view.scale === "own", shared: view.scale === "shared", smooth: view.smooth, cells: !view.smooth };
  for (const [id, on] of Object.entries(pressed)) find(id).setAttribute("aria-pressed", String(on));
  drawChart(find("chart"), { photo, shown: shown.map((panel) => ({ panel: panel.data, number: panel.number })), measure: view.measure, layer: view.layer });
  find("caption").replaceChildren(...captionOf(shown));
}

/** The chart's numbers at this layer, in words. */
function captionOf(shown) {
  const what = view.measure === "concentration" ? "in the strongest tenth of the cells" : "of the flow's highest peak";
  const numbers = shown.map((panel) => {
    const at = panel.data.at[view.layer], map = at === null ? null : panel.data.maps[at];
    const value = measured(panel.data, map, view.measure);
    const text = value === null ? (map ? map.status : "none") : `${Math.round(100 * value)} %`;
    return make("b", `c${panel.number}`, text);
  });
  return numbers.length ? [...numbers, what] : ["no panel is shown"];
}

function point() {
  for (const panel of panels) if (!panel.root.hidden) panel.point(view.where);
  place(plain.cell, view.where ? [view.where[0] - 0.008, view.where[1] - 0.008 * (photo.width / photo.height), 0.016, 0.016 * (photo.width / photo.height)] : null);
}

/** Raw values follow the pointer over any picture. */
function listen(frame) {
  const follow = (event) => {
    const bounds = frame.getBoundingClientRect();
    const inside = (value) => Math.min(1 - 1e-9, Math.max(0, value));
    view.where = [inside((event.clientX - bounds.left) / bounds.width), inside((event.clientY - bounds.top) / bounds.height)];
    point();
  };
  frame.addEventListener("pointermove", follow);
  frame.addEventListener("pointerdown", follow);
  frame.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") { view.where = null; point(); } });
}

/** Pointing at a phrase shows its map and box; a click keeps them. */
function listenToPhrases(panel) {
  for (const { phrase, button } of panel.phrases) {
    const set = (pinned) => { Object.assign(view, { phrase: { panel, phrase }, pinned }); mark(); draw(); };
    const leave = () => { if (!view.pinned) { view.phrase = null; mark(); draw(); } };
    const kept = () => view.pinned && view.phrase.phrase === phrase;
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("pointerenter", () => { if (!view.pinned) set(false); });
    button.addEventListener("pointerleave", leave);
    button.addEventListener("focus", () => { if (!view.pinned) set(false); });
    button.addEventListener("blur", leave);
    if (button.tagName !== "BUTTON") button.addEventListener("keydown", (event) => { if (/^(Enter| )$/.test(event.key)) { event.preventDefault(); event.stopPropagation(); button.click(); } });
    button.addEventListener("click", () => { if (kept()) { view.pinned = false; mark(); } else set(true); });
  }
}

function mark() {
  for (const panel of panels) for (const { phrase, button } of panel.phrases) {
    button.setAttribute("aria-pressed", String(view.pinned && view.phrase.phrase === phrase));
  }
}

function release() {
  Object.assign(view, { phrase: null, pinned: false });
  mark();
}

function go(layer) {
  const to = Math.min(photo.layers.length - 1, Math.max(0, layer));
  release();
  view.layer = to;
  draw();
  if (!timer) find("spoken").textContent = `layer ${photo.layers[to]}`;
}

function fade(opacity) {
  view.opacity = Math.min(1, Math.max(0, Math.round(100 * opacity) / 100));
  draw();
}

function choose(change) {
  Object.assign(view, change);
  draw();
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

function theme() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
}

function help() {
  if (find("help").open) find("help").close();
  else find("help").showModal();
}

const keys = {
  ArrowLeft: () => go(view.layer - 1), ArrowRight: () => go(view.layer + 1),
  Home: () => go(0), End: () => go(photo.layers.length - 1),
  ArrowUp: () => fade(view.opacity + 0.05), ArrowDown: () => fade(view.opacity - 0.05),
  PageUp: () => leaf(-1), PageDown: () => leaf(1), " ": play, "?": help, t: theme,
  0: () => { view.plain = !view.plain; plain.root.hidden = !view.plain; },
  s: () => choose({ scale: view.scale === "own" ? "shared" : "own" }), n: () => choose({ smooth: !view.smooth }),
  Escape: () => { release(); draw(); },
};

/** Whether a key belongs to the element that has the focus, and not to the page. */
function taken(event) {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("select") || find("help").open) return event.key !== "?";
  if (event.key === " ") return Boolean(target.closest("button, summary"));
  return target.id === "opacity" && /^(Arrow|Home|End|Page)/.test(event.key);
}

document.addEventListener("keydown", (event) => {
  if (!photo || taken(event)) return;
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key] || (/^[1-9]$/.test(event.key) && (() => toggle(Number(event.key))));
  if (!act) return;
  event.preventDefault();
  act();
});

find("slider").addEventListener("input", (event) => go(Number(event.target.value)));
find("opacity").addEventListener("input", (event) => fade(Number(event.target.value) / 100));
find("measure").addEventListener("change", (event) => choose({ measure: event.target.value }));
find("back").addEventListener("click", () => go(view.layer - 1));
find("next").addEventListener("click", () => go(view.layer + 1));
find("play").addEventListener("click", play);
find("own").addEventListener("click", () => choose({ scale: "own" }));
find("shared").addEventListener("click", () => choose({ scale: "shared" }));
find("smooth").addEventListener("click", () => choose({ smooth: true }));
find("cells").addEventListener("click", () => choose({ smooth: false }));
find("theme").addEventListener("click", theme);
find("ask").addEventListener("click", help);
for (const thumb of document.querySelectorAll("#strip button")) thumb.addEventListener("click", () => open(Number(thumb.dataset.photo)));
addEventListener("resize", () => { if (photo) draw(); });
open(0);
