// The page: what is looked at (the view), and how a person changes it.

const PACE = 700;
const find = (id) => document.getElementById(id);
const read = (id) => JSON.parse(find(id).textContent);

const common = read("common");

const photos = [...document.querySelectorAll('script[id^="photo-"]')].map((script) => script.id);
const view = { at: 0, panel: 0, layer: 0, opacity: 1, scale: "own", smooth: true, outline: true, phrase: null, pinned: false, where: null, shown: "map" };
const picture = new Picture(common), eraser = new Eraser(picture, { changed: () => sayHidden() });
let photo = null, rows = null, pixels = null, timer = null, turn = 0, choice = null;

/** Show a photo; the layer stays where a layer of that name exists, else the main one is taken. */
async function open(at) {
  const mine = ++turn, data = read(photos[at]), name = photo && photo.layers[view.layer];
  Object.assign(view, { at, phrase: null, pinned: false, where: null, shown: "map" });
  await picture.open(data);
  if (mine !== turn) return;
  photo = data;
  view.panel = Math.min(view.panel, data.panels.length - 1);
  pixels = smallPixels(find("photo"), data, data.wide ? STRIP * SMALL : SMALL);
  const same = data.layers.indexOf(name);
  view.layer = same < 0 ? mainLayer() : same;
  eraser.open();
  furnish();
  choosePanel(view.panel);
}

/** The layer whose map stands for the flow. */
function mainLayer() {
  const { at, main } = photo.panels[view.panel];
  if (main !== null) return main;
  for (let layer = at.length - 1; layer >= 0; layer--) if (at[layer] !== null) return layer;
  return at.length - 1;
}

/** What belongs to the photo, whichever method is looked at. */
function furnish() {
  const count = photo.layers.length;
  find("photo").alt = photo.photo ? `the photo ${photo.source}` : "no photo was kept";
  find("main").classList.toggle("wide", photo.wide);
  find("show-photo").textContent = photo.wide ? "input" : "photo";
  find("source").textContent = photos.length > 1 ? photo.source : "";
  find("choices").replaceChildren(...(photo.panels.length > 1 ? photo.panels.map(choiceFor) : []));
  find("slider").max = count - 1;
  for (const id of ["slider", "play", "back", "next"]) find(id).disabled = count < 2;
  find("walk").hidden = count < 2;
  find("seen").hidden = !photo.seen;
  find("methods").hidden = photo.panels.length < 2;
  rows = photo.panels.length < 2 ? null : new Rows(photo, { pixels, common, choose: (panel, layer) => { choosePanel(panel); go(layer); find("answer").scrollIntoView({ block: "nearest" }); } });
  find("rows").replaceChildren(...(rows ? [rows.root] : []));
  for (const button of document.querySelectorAll("#strip button")) {
    const current = Number(button.dataset.photo) === view.at;
    button.setAttribute("aria-current", String(current));
    if (current) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

function choiceFor(panel, at) {
  const button = make("button", `choice c${at + 1}`);
  button.type = "button";
  button.append(make("span", "chip", String(at + 1)), make("span", "name", `${panel.method} · ${panel.label}`));
  button.title = panel.label;
  button.addEventListener("click", () => choosePanel(at));
  panel.button = button;
  return button;
}

/** Look at one method and decision: its course, words and numbers are made when it is first looked at. */
function choosePanel(at) {
  const panel = photo.panels[at];
  if (!panel) return;
  Object.assign(view, { panel: at, phrase: null, pinned: false });
  panel.number = at + 1;
  panel.parts ||= {
    course: panel.course ? new Course(panel, { photo, pixels, common, go }) : null,
    words: new Words(panel, { common }),
    correct: panel.corrections ? new Correct(panel.corrections) : null,
    numbers: new Numbers(panel, { photo, pixels, common }),
  };
  choice = panel;
  if (!panel.listening) panel.parts.words.listen({ show: showPhrase, shown: () => view });
  panel.listening = true;
  const { course, words, correct, numbers } = panel.parts;
  find("main").className = find("main").className.replace(/\bc\d+\b/, "").trim() + ` c${at + 1}`;
  find("course").hidden = !course;
  find("course-strip").replaceChildren(...(course ? [course.root] : []));
  find("words").hidden = words.empty;
  find("words-body").replaceChildren(words.root);
  find("correct").hidden = !correct;
  find("correct-body").replaceChildren(...(correct ? [correct.root] : []));
  find("numbers-body").replaceChildren(numbers.root);
  find("method-name").textContent = panel.title || panel.method;
  find("why-text").textContent = panel.why;
  find("equation").textContent = panel.equation;
  find("why").open = false;
  for (const other of photo.panels) if (other.button) other.button.setAttribute("aria-pressed", String(other === panel));
  draw();
}

/** Redraw for the view. */
function draw() {
  const map = mapNow(), spot = view.phrase, { parts } = choice;
  const name = spot ? spot.text : map ? `layer ${map.layer}` : "";
  picture.draw(map, {
    unit: map && unitOf(map), smooth: view.smooth, opacity: view.opacity, outline: view.outline, target: choice.region,
    box: spot && spot.box, label: map ? `${choice.method}: ${choice.label}, ${name}, ${map.status}` : "",
  });
  find("frame").classList.toggle("spot", Boolean(spot));
  find("empty").hidden = map !== null;
  sayWhere(map);
  drawControls();
  drawLegend(map);
  drawCurve(map);
  if (parts.course) parts.course.draw(view);
  if (rows) rows.draw(view);
  parts.numbers.draw(view);
  parts.words.mark(view);
  if (eraser.any) sayHidden();
  point();
}

function mapNow() {
  if (view.phrase && view.phrase.map) return view.phrase.map;
  const at = choice.at[view.layer];
  return at === null ? null : choice.maps[at];
}

/** What the colours stand for: the raw value that an even spread would have, of this map or of all of its method. */
function unitOf(map) {
  return view.scale === "shared" && choice.maps.includes(map) ? choice.shared : map;
}

/** Share of the picture on show that holds half of a map's evidence; a photo is larger than what the network saw of it. */
function halfOf(map) {
  const [, , width, height] = (view.shown !== "seen" && photo.crop) || [0, 0, 1, 1];
  return Math.min(1, map.half * width * height);
}

/** The sentence on top, and what the outline holds. */
function sayWhere(map) {
  find("lead").textContent = choice.lead;
  find("lead").hidden = !choice.lead;
  const head = [make("strong", "", choice.label || choice.method), choice.sure && `, ${choice.sure}`];
  find("sentence").replaceChildren(...head, view.phrase ? `: here it saw “${view.phrase.text}”.` : map ? `: ${map.clause}.` : ": this method has no map at this layer.");
  const facts = [];
  if (map && map.half !== null) facts.push(["Half of the evidence is in ", percent(halfOf(map)), ` of ${photo.crop && view.shown === "seen" ? "what the network saw" : photo.wide ? "the input" : "the picture"}${map.outline.length ? " (outline)" : ""}.`]);
  const on = choice.on_object[choice.maps.indexOf(map)], other = choice.others_on_object[choice.maps.indexOf(map)];
  if (on != null) facts.push(["", percent(on), ` of all evidence is ${choice.object_name === "object" ? "on the object" : `in the ${choice.object_name} (dashed)`}${choice.object_area === null ? "" : `, ${percent(choice.object_area)} of the picture`}${other == null ? "" : `; of other pictures' maps ${percent(other)}`}.`]);
  if (photo.crop && Math.min(...photo.crop.slice(2)) < 0.996 && view.shown === "map") facts.push(["The network saw only the bright part.", "", ""]);
  find("facts").replaceChildren(...facts.flatMap(([before, value, after]) => [before, make("b", "", value), `${after} `]));
}

function drawControls() {
  const layer = photo.layers[view.layer], slider = find("slider"), count = photo.layers.length;
  find("layer").textContent = layer;
  find("count").textContent = `${view.layer + 1} of ${count}`;
  slider.value = view.layer;
  slider.style.setProperty("--share", view.layer / Math.max(1, count - 1));
  slider.setAttribute("aria-valuetext", `${layer}, ${view.layer + 1} of ${count}`);
  find("opacity").value = Math.round(100 * view.opacity);
  find("share").textContent = `${Math.round(100 * view.opacity)} %`;
  const pressed = {
    own: view.scale === "own", shared: view.scale === "shared", smooth: view.smooth, cells: !view.smooth, outline: view.outline,
    "show-map": view.shown === "map", "show-photo": view.shown === "photo", seen: view.shown === "seen", erase: eraser.on, box: eraser.where !== null,
  };
  for (const [id, on] of Object.entries(pressed)) find(id).setAttribute("aria-pressed", String(on));
}

function drawLegend(map) {
  find("legend").classList.toggle("off", !map);
  if (!map) return;
  const bar = find("bar"), { drawing } = common, { value, against } = unitOf(map), first = against ? 1 : 128, most = value * drawing.reach;
  if (bar.width !== 256 - first || bar.bytes !== drawing.bytes) {
    bar.bytes = drawing.bytes;
    [bar.width, bar.height] = [256 - first, 1];
    bar.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(drawing.bytes.slice(4 * first)), 256 - first, 1), 0, 0);
  }
  find("low").textContent = against ? `against it: ${brief(-most)}` : "0";
  find("zero").textContent = against ? "0" : "";
  find("high").textContent = `for it: ${brief(most)}`;
  const scale = view.scale === "shared" ? "all layers share one scale" : "each layer has its own scale";
  const kernel = map.kernel >= 1 && view.smooth ? ` Smoothed for display over ${map.kernel.toPrecision(2)} cells.` : "";
  const keys = [["outline", view.outline && map.outline.length && "half of the evidence"], ["region", choice.region.length && `the ${choice.region_name} of the decision`]];
  find("keys").replaceChildren(...keys.filter(([, text]) => text).flatMap(([name, text]) => [make("i", name), `${text} `]));
  find("scale").textContent = `Full colour: ${drawing.reach} times as dense as even evidence; ${scale}.${kernel}`;
}

/** A map of one row as a curve in its two hues: its height is read more exactly than its colour. */
function drawCurve(map) {
  const curve = find("curve"), line = map && map.height === 1 && map.width > 1;
  curve.toggleAttribute("hidden", !line);
  if (!line) return;
  const [low, high] = map.own, span = high - low || 1, level = (value) => 58 - (56 * (Math.min(high, Math.max(low, value)) - low)) / span;
  const values = [...valuesOf(map)].map((value) => (Number.isFinite(value) ? value : 0)), step = 1000 / values.length;
  const path = (side, clipped, row) => {
    const steps = values.map((value, at) => `H${(at * step).toFixed(2)}V${level(clipped(value)).toFixed(2)}H${((at + 1) * step).toFixed(2)}`);
    const [r, g, b] = common.drawing.bytes.slice(4 * row);
    return svg("path", { class: `area ${side}`, d: `M0 ${level(0)}${steps.join("")}V${level(0)}Z`, fill: `rgb(${r} ${g} ${b})` });
  };
  curve.replaceChildren(path("favour", (value) => Math.max(0, value), 255), path("against", (value) => Math.min(0, value), 1));
}

function point() {
  const map = mapNow(), read = picture.point(view.where), output = find("readout");
  if (read) output.replaceChildren(make("b", "value", read.value), ` ${read.where}`);
  else output.textContent = map ? `${map.layer} · ${map.grid}` : "";
}

/** How much of the evidence is hidden, in words. */
function sayHidden() {
  const map = choice && mapNow(), text = find("hidden");
  if (!map || !eraser.any) { text.textContent = "Nothing is hidden."; find("hidden-share").textContent = ""; return; }
  const shares = eraser.shares(map), more = shares.against === null || !map.against ? "" : ` and ${percent(shares.against)} of the evidence against it`;
  find("hidden-share").textContent = shares.for === null ? "" : percent(shares.for);
  text.textContent = `${shares.for === null ? "no evidence for it" : "of the evidence"}${more} at this layer, under ${percent(eraser.area)} of the picture.`;
  clearTimeout(sayHidden.waiting);
  sayHidden.waiting = setTimeout(() => { find("spoken").textContent = `hidden: ${find("hidden-share").textContent} ${text.textContent}`; }, 250);
}

function showPhrase(phrase, pinned) {
  Object.assign(view, { phrase, pinned });
  draw();
}
