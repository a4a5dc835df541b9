// One flow: its layers as a strip, the steps between them, the way of the centre, charts by layer, and all as a table.

const THUMB_SIDE = 120, PATIENCE = 120, NARROWEST = 54, WIDEST = 140, STRIP = 3;  // a strip's pictures are that many times larger
const percent = (share) => (share === null ? "-" : `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`);

/** Length of what all names begin with, up to their last common dot. */
function commonPrefix(names) {
  let length = names[0].lastIndexOf(".") + 1;
  while (length && !names.every((name) => name.length > length && name.startsWith(names[0].slice(0, length)))) length = names[0].lastIndexOf(".", length - 2) + 1;
  return length;
}

class FlowView {
  constructor(panel, { photo, pixels, common, go }) {
    Object.assign(this, { panel, data: panel.data, course: panel.data.course, photo, common, go, key: "" });
    this.root = make("article", `flow c${panel.number}`);
    this.root.append(this.heading());
    if (this.data.remarks.length) this.root.append(this.remarks());
    if (!this.course) return;
    this.times = photo.wide ? STRIP : 1;
    this.small = shrunk(pixels, this.times * THUMB_SIDE);
    this.grey = greyed(this.small);
    this.farthest = Math.max(0, ...this.course.steps.map((step) => (step ? step.moved : 0)));
    this.prefix = commonPrefix(this.data.maps.map((map) => map.layer));
    const sheet = make("div", "sheet");
    if (this.course.centres.some(Boolean)) sheet.append(this.way(pixels));
    sheet.append(this.reel());
    this.root.append(sheet, this.table());
  }

  heading() {
    const head = make("header");
    head.append(make("span", "chip", String(this.panel.number)), make("h2", "", this.course ? "From layer to layer" : "Remarks"), make("span", "method", this.data.method), make("p", "decided", this.data.label));
    return head;
  }

  remarks() {
    const list = make("ul", "remarks");
    list.append(...this.data.remarks.map((sentence) => make("li", "", sentence)));
    return list;
  }

  /** The photo with the way of the centre of the evidence. */
  way(pixels) {
    const figure = make("figure", "way-figure"), { frame, canvas } = makeFrame(this.photo, [pixels.width, pixels.height], "the way of the centre of the evidence over the photo");
    canvas.getContext("2d").putImageData(greyed(pixels), 0, 0);
    this.over = svg("svg", { class: "over", "aria-hidden": "true" });
    frame.append(this.over);
    this.here = make("p", "here");
    const ramp = make("p", "ramp"), bar = make("canvas");
    [bar.width, bar.height] = [64, 1];
    for (let i = 0; i < 64; i++) { const pen = bar.getContext("2d"); pen.fillStyle = depthColour(this.common.unsigned, i / 63); pen.fillRect(i, 0, 1, 1); }
    ramp.append(make("span", "", "first layer"), bar, make("span", "", "last layer"));
    const words = make("figcaption", "", "Centre of the positive evidence, layer by layer. The ellipse is one standard deviation at the layer shown.");
    figure.append(frame, ramp, this.here, words);
    return figure;
  }

  /** All that stands in columns, one for each layer. */
  reel() {
    this.window = make("div", "reel");
    this.window.tabIndex = 0;
    this.window.setAttribute("role", "group");
    this.window.setAttribute("aria-label", "Layers in forward order, and the steps between them");
    this.track = make("div", "columns");
    this.light = make("i", "light");
    this.track.append(this.light, this.thumbs(), this.differences(), this.key_(), ...this.charts());
    this.window.append(this.track);
    return this.window;
  }

  canvas(label) {
    const canvas = make("canvas");
    [canvas.width, canvas.height] = [this.small.width, this.small.height];
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
    return canvas;
  }

  thumbs() {
    const row = make("div", "thumbs");
    this.cards = this.data.maps.map((map, at) => {
      const card = make("button", "card"), gap = this.course.gaps[at], drawn = map.status === "ok";
      card.type = "button";
      card.tabIndex = -1;
      card.title = gap ? `${map.layer}: ${this.common.meaning[gap] || "no value is above zero"}` : map.layer;
      card.canvas = drawn ? this.canvas(map.layer) : null;
      const picture = make("span", "picture");
      picture.append(card.canvas || make("b", "silent", gap));
      card.append(picture, make("span", "layer", map.layer.slice(this.prefix)));
      card.addEventListener("click", () => this.go(this.photo.layers.indexOf(map.layer)));
      row.append(card);
      return card;
    });
    return row;
  }

  differences() {
    const row = make("div", "differences");
    this.steps = this.course.steps.map((step, at) => {
      const [from, to] = [this.data.maps[at].layer, this.data.maps[at + 1].layer], item = make("div", "step"), picture = make("span", "picture");
      if (step) step.own = [-step.reach, step.reach];
      item.canvas = step ? this.canvas(`from ${from} to ${to}: ${percent(step.moved)} moved`) : null;
      item.title = step ? `From ${from} to ${to}: ${percent(step.moved)} of the evidence lies elsewhere` : `From ${from} to ${to}: one of the two has no evidence to compare`;
      picture.append(item.canvas || make("b", "silent none"));
      item.append(picture, make("span", "moved", step ? `${Math.round(100 * step.moved)} %` : "none"));
      row.append(item);
      return item;
    });
    return row;
  }

  key_() {
    const key = make("p", "key");
    key.append(make("span", "gained", "gained"), make("span", "lost", "lost"), " from a layer to the next, both at a sum of one; below, the share that moved (the less, the paler)");
    return key;
  }

  /** A chart for regions, and one for each known note that the method left at two layers or more. */
  charts() {
    const { regions, strongest, named } = this.course, others = regions.map((_, place) => place).filter((place) => !strongest.includes(place));
    const lines = [...others.map((place) => ({ values: regions[place].shares, name: "other" })), ...strongest.map((place, rank) => ({ values: regions[place].shares, name: `r${rank + 1}`, label: regions[place].name })).reverse()];
    const even = named ? null : regions[0].area, high = Math.max(0.2, ...lines.flatMap((line) => line.values.map((value) => value || 0)));
    this.tracks = [this.chart(named ? "Evidence in each box" : "Evidence by region", { lines, low: 0, high, reference: even, text: percent, wide: true })];
    for (const [name, reference, text] of [["carried", this.data.score, brief], ["abandoned", null, percent], ["prefix", null, percent]]) {
      const values = this.data.maps.map((map) => (Number.isFinite(map.notes[name]) ? map.notes[name] : null));
      if (values.filter((value) => value !== null).length < 2) continue;
      const ends = [0, ...values.filter((value) => value !== null), ...(reference === null ? [] : [reference])];
      const title = this.common.notes[name] + (reference === null ? "" : ` (dashed: the score, ${brief(reference)})`);
      this.tracks.push(this.chart(title, { lines: [{ values, name: "own", label: "" }], low: Math.min(...ends), high: Math.max(...ends), reference, text }));
    }
    return this.tracks.map((track) => track.root);
  }

  chart(title, options) {
    const root = make("div", "chart"), caption = make("p", "title"), picture = svg("svg", { "aria-hidden": "true" }), now = make("span", "now");
    caption.append(make("b", "", title), now);
    root.append(caption, picture);
    picture.addEventListener("click", (event) => {
      const at = Math.floor((event.clientX - picture.getBoundingClientRect().left) / this.cell);
      if (this.data.maps[at]) this.go(this.photo.layers.indexOf(this.data.maps[at].layer));
    });
    return { root, picture, now, options };
  }

  /** Redraw for a view; pictures only when something about them changed. */
  draw(view) {
    if (!this.course) return;
    const now = this.data.at[view.layer], count = this.data.maps.length;
    this.cell = Math.min(this.times * WIDEST, Math.max(this.times * NARROWEST, Math.floor((this.window.clientWidth || 600) / count)));
    this.track.style.setProperty("--cell", `${this.cell}px`);
    this.track.style.setProperty("--window", `${this.window.clientWidth}px`);
    this.track.style.setProperty("--ratio", this.photo.width / this.photo.height);
    this.track.style.width = `${this.cell * count}px`;
    this.askForPictures(view);
    this.light.hidden = now === null;
    this.cards.forEach((card, at) => card.setAttribute("aria-pressed", String(at === now)));
    if (now !== null) this.light.style.left = `${now * this.cell}px`;
    this.follow(now);
    if (this.over) this.drawWay(now);
    for (const track of this.tracks) this.drawTrack(track, now);
    if (this.rows) this.rows.forEach((row, at) => row.classList.toggle("now", at === now));
  }

  drawWay(now) {
    drawWay(this.over, { course: this.course, ratio: this.photo.width / this.photo.height, table: this.common.unsigned, layer: now });
    this.here.textContent = this.placeOf(now);
  }

  /** Pictures follow the looks: at once the first time, then when a person has stopped turning a knob. */
  askForPictures(view) {
    const key = [view.opacity, view.scale, view.smooth].join();
    if (key === this.key) return;
    clearTimeout(this.waiting);
    if (this.key) this.waiting = setTimeout(() => this.drawPictures(view), PATIENCE);
    else this.drawPictures(view);
    this.key = key;
  }

  /** A map's values at every pixel of its small picture, kept until smoothing changes. */
  grown(at, smooth) {
    if (this.grownFor !== smooth) Object.assign(this, { grownFor: smooth, kept: [] });
    this.kept[at] ||= grow(this.data.maps[at], this.small.width, this.small.height, smooth);
    return this.kept[at];
  }

  drawPictures(view) {
    this.data.maps.forEach((map, at) => {
      if (!this.cards[at].canvas) return;
      const limits = view.scale === "shared" ? this.data.shared : map.own, table = map.signed ? this.common.signed : this.common.unsigned;
      const values = this.grown(at, view.smooth);
      this.cards[at].canvas.getContext("2d").putImageData(lay(this.small, values, { limits, table, opacity: view.opacity, signed: map.signed }), 0, 0);
    });
    if (this.stepsFor === view.smooth) return;
    this.stepsFor = view.smooth;
    this.course.steps.forEach((step, at) => {
      if (!step) return;
      const strength = this.farthest ? 0.9 * Math.sqrt(step.moved / this.farthest) : 0;
      this.steps[at].canvas.getContext("2d").putImageData(layStep(this.grey, step, { strength, smooth: view.smooth }), 0, 0);
    });
  }

  /** Keep the layer shown within the strip's window, without moving the page. */
  follow(now) {
    if (now === null || now === this.followed) return;
    this.followed = now;
    const left = now * this.cell, { scrollLeft, clientWidth } = this.window;
    if (left < scrollLeft || left + this.cell > scrollLeft + clientWidth) this.window.scrollLeft = left - (clientWidth - this.cell) / 2;
  }

  placeOf(now) {
    if (now === null) return "";
    const map = this.data.maps[now], centre = this.course.centres[now];
    if (!centre) return `${map.layer}: ${this.course.gaps[now]}, no centre`;
    return `${map.layer}: ${percent(centre[0])} from the left, ${percent(centre[1])} from the top; spread ${percent(centre[2])} × ${percent(centre[3])}`;
  }

  drawTrack(track, now) {
    const { lines, text, wide } = track.options;
    drawTrack(track.picture, { ...track.options, cell: this.cell, layer: now });
    const entries = [...lines].reverse().filter((line) => line.label !== undefined);
    track.now.replaceChildren(...entries.map((line) => {
      const entry = make("span", `entry ${line.name}`, `${line.label} ${now === null ? "-" : text(line.values[now])}`.trim());
      return entry;
    }), ...(wide && lines.some((line) => line.label === undefined) ? [make("span", "entry other", "the others")] : []), ...(wide && track.options.reference !== null ? [make("span", "entry", `dashed: even evidence, ${percent(track.options.reference)}`)] : []), make("span", "entry", `axis: ${text(track.options.low)} to ${text(track.options.high)}`));
  }

  /** The same numbers as a table; its rows are made when it is first opened. */
  table() {
    const fold = make("details", "numbers");
    fold.append(make("summary", "", "These numbers as a table"));
    fold.addEventListener("toggle", () => {
      if (!fold.open || this.rows) return;
      const box = make("div", "scroll"), table = make("table");
      table.append(this.headRow(), this.body());
      box.append(table);
      fold.append(box);
    });
    return fold;
  }

  names() {
    return [...new Set(this.data.maps.flatMap((map) => Object.keys(map.notes)))];
  }

  headRow() {
    const head = make("thead"), row = make("tr"), words = ["layer", "grid", "status", "peak", "centre", "spread", "moved since the layer before"];
    const regions = this.course.regions.map((region) => region.name), notes = this.names().map((name) => this.common.notes[name] || name);
    for (const word of [...words, ...regions, ...notes]) row.append(make("th", "", word));
    head.append(row);
    return head;
  }

  body() {
    const body = make("tbody"), names = this.names();
    this.rows = this.data.maps.map((map, at) => {
      const row = make("tr"), centre = this.course.centres[at], step = at ? this.course.steps[at - 1] : null;
      const place = centre ? [`${percent(centre[0])}, ${percent(centre[1])}`, `${percent(centre[2])} × ${percent(centre[3])}`] : ["-", "-"];
      const facts = [map.grid, this.course.gaps[at] || map.status, brief(Math.max(Math.abs(map.own[0]), Math.abs(map.own[1]))), ...place, step ? percent(step.moved) : "-"];
      const shares = this.course.regions.map((region) => percent(region.shares[at])), notes = names.map((name) => (name in map.notes ? brief(map.notes[name]) : "-"));
      row.append(make("th", "", map.layer), ...[...facts, ...shares, ...notes].map((text) => make("td", "", text)));
      return row;
    });
    body.append(...this.rows);
    return body;
  }
}
