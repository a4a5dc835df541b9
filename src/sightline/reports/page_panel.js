// One panel: a method and a decision over the photo. Builds its elements once and redraws them for a view.

/** A new element; `text` is always text, never markup. */
function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** The frame that a picture, its cell marker and its box lie in. */
function makeFrame(photo, size, label) {
  const frame = make("div", "frame"), canvas = make("canvas"), cell = make("i", "cell"), box = make("i", "box");
  frame.style.setProperty("--ratio", photo.width / photo.height);
  [canvas.width, canvas.height] = size;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  cell.hidden = box.hidden = true;
  frame.append(canvas, cell, box);
  return { frame, canvas, cell, box };
}

/** Put a marker over a part of the frame, given as shares of its sides; null hides it. */
function place(marker, part) {
  marker.hidden = part === null;
  if (part === null) return;
  const [left, top, width, height] = part.map((share) => `${100 * share}%`);
  Object.assign(marker.style, { left, top, width, height });
}

/** The numbers of a phrase, in words. */
function factsOf(phrase) {
  const facts = [], share = (value) => `${Math.abs(100 * value).toFixed(0)} %`;
  if (phrase.probability !== null) facts.push(phrase.role ? `${share(phrase.probability)} sure` : share(phrase.probability));
  if (phrase.contribution !== null) facts.push(`${phrase.contribution < 0 ? "−" : "+"}${share(phrase.contribution)} of the evidence`);
  if (phrase.energy !== null) facts.push(`${share(phrase.energy)} of its map on the object`);
  return facts;
}

class Panel {
  constructor(data, number, { photo, pixels, common }) {
    Object.assign(this, { data, number, photo, pixels, common, map: null });
    this.root = make("article", `panel c${number}`);
    Object.assign(this, makeFrame(photo, [pixels.width, pixels.height], `${data.method}: ${data.label}`));
    this.empty = make("p", "empty", "This method has no map at this layer.");
    this.frame.append(this.empty);
    this.curve = svg("svg", { class: "curve", viewBox: "0 0 1000 60", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.status = make("p", "status");
    this.readout = make("output", "readout");
    this.notes = make("dl", "notes");
    const list = this.words();
    this.root.append(this.heading(), this.frame, this.curve, this.legend(), this.readout, this.status, this.notes, this.sentences(), list, this.origin());
  }

  heading() {
    const head = make("header"), name = make("h2", "", this.data.label);
    name.title = this.data.label;
    const index = this.data.index === null ? "" : ` · class ${this.data.index}`;
    const method = make("span", "method", this.data.method);
    head.append(make("span", "chip", String(this.number)), name, method, make("p", "decided", this.data.decided + index));
    return head;
  }

  legend() {
    const legend = make("div", "legend");
    this.bar = make("canvas");
    [this.bar.width, this.bar.height] = [256, 1];
    this.bar.setAttribute("aria-hidden", "true");
    this.low = make("span", "low");
    this.middle = make("span", "middle");
    this.high = make("span", "high");
    legend.append(this.bar, this.low, this.middle, this.high);
    return legend;
  }

  words() {
    const list = make("ul", "phrases");
    this.phrases = this.data.phrases.map((phrase) => {
      const button = make("button", "phrase", phrase.text), item = make("li"), facts = factsOf(phrase);
      if (phrase.role) button.prepend(make("span", "role", this.common.roles[phrase.role] || phrase.role));
      if (facts.length) button.append(make("span", "facts", facts.join(" · ")));
      button.type = "button";
      button.title = phrase.note;
      item.append(button);
      list.append(item);
      return { phrase, button };
    });
    list.hidden = !this.phrases.length;
    return list;
  }

  /** The sentences; what a phrase is said by points to its map and box, like the phrase itself. */
  sentences() {
    const told = make("div", "told");
    this.data.sentences.forEach((text, number) => {
      const letters = [...text], part = (start, end) => letters.slice(start, end).join("");  // Python counts letters, not units
      const line = make("p"), own = this.data.phrases.filter((phrase) => phrase.said && phrase.said[0] === number);
      let at = 0;
      for (const phrase of own.sort((a, b) => a.said[1] - b.said[1])) {
        const [, start, end] = phrase.said;
        if (start < at || end > letters.length) continue;
        const said = make("span", `said ${phrase.role}`, part(start, end));
        const facts = [this.common.roles[phrase.role] || phrase.role, ...factsOf(phrase), phrase.note];
        said.title = facts.filter(Boolean).join(" · ");
        said.tabIndex = 0;
        said.setAttribute("role", "button");
        line.append(part(at, start), said);
        this.phrases.push({ phrase, button: said });
        at = end;
      }
      line.append(part(at));
      told.append(line);
    });
    told.hidden = !this.data.sentences.length;
    return told;
  }

  origin() {
    const fold = make("details");
    fold.append(make("summary", "", "Where this came from"), make("pre", "", this.data.provenance || "No provenance was recorded."));
    return fold;
  }

  /** Redraw for a view: layer, opacity, scale, smoothing, and the phrase that is pointed at. */
  draw(view) {
    const spot = view.phrase && view.phrase.panel === this ? view.phrase.phrase : null;
    const at = this.data.at[view.layer];
    this.map = spot && spot.map ? spot.map : at === null ? null : this.data.maps[at];
    this.empty.hidden = this.map !== null;
    this.root.classList.toggle("spot", Boolean(spot));
    place(this.box, spot && spot.box ? spot.box : null);
    const pen = this.canvas.getContext("2d");
    if (this.map) pen.putImageData(this.picture(view), 0, 0);
    else pen.putImageData(this.pixels, 0, 0);
    this.drawCurve(view);
    this.describe(view, spot);
  }

  /** A map of one row as a curve too: its height is read more exactly than its colour. */
  drawCurve(view) {
    const line = this.map && this.map.height === 1 && this.map.width > 1;
    this.curve.toggleAttribute("hidden", !line);
    if (!line) return;
    const [low, high] = this.limits(view), span = high - low || 1, level = (value) => 58 - (56 * (Math.min(high, Math.max(low, value)) - low)) / span;
    const values = [...valuesOf(this.map)].map((value) => (Number.isFinite(value) ? value : 0)), step = 1000 / values.length;
    const ground = level(0), steps = values.map((value, at) => `H${(at * step).toFixed(2)}V${level(value).toFixed(2)}H${((at + 1) * step).toFixed(2)}`);
    this.curve.replaceChildren(svg("path", { class: "area", d: `M0 ${ground}${steps.join("")}V${ground}Z` }));
  }

  picture(view) {
    const grown = grow(this.map, this.pixels.width, this.pixels.height, view.smooth);
    return lay(this.pixels, grown, {
      limits: this.limits(view), table: this.table(), opacity: view.opacity, signed: this.map.signed,
    });
  }

  limits(view) {
    return view.scale === "shared" && this.data.maps.includes(this.map) ? this.data.shared : this.map.own;
  }

  table() {
    return this.map.signed ? this.common.signed : this.common.unsigned;
  }

  describe(view, spot) {
    this.root.querySelector(".legend").classList.toggle("off", !this.map);
    this.status.hidden = !this.map || this.map.status === "ok";
    this.notes.replaceChildren();
    if (!this.map) return;
    this.drawLegend(view);
    this.status.replaceChildren(make("b", "badge", this.map.status), ` ${this.common.meaning[this.map.status]}`);
    for (const [name, value] of Object.entries(this.map.notes)) this.notes.append(make("dt", "", this.common.notes[name] || name), make("dd", "", brief(value)));
    this.canvas.setAttribute("aria-label", `${this.data.method}: ${this.data.label}, ${spot ? spot.text : `layer ${this.map.layer}`}, ${this.map.status}`);
  }

  drawLegend(view) {
    const strip = new ImageData(256, 1), table = this.table(), [low, high] = this.limits(view);
    for (let i = 0; i < 256; i++) strip.data.set([table[3 * i], table[3 * i + 1], table[3 * i + 2], 255], 4 * i);
    this.bar.getContext("2d").putImageData(strip, 0, 0);
    this.low.textContent = brief(low);
    this.middle.textContent = this.map.signed ? "0" : "";
    this.high.textContent = brief(high);
  }

  /** Show the raw value under a point, given as shares of the frame's sides; null shows which map this is. */
  point(where) {
    if (!this.map) { place(this.cell, null); this.readout.textContent = ""; return; }
    const { width, height, layer, grid } = this.map;
    if (!where) { place(this.cell, null); this.readout.textContent = `${layer} · ${grid}`; return; }
    const column = Math.min(width - 1, Math.floor(where[0] * width)), row = Math.min(height - 1, Math.floor(where[1] * height));
    place(this.cell, [column / width, row / height, 1 / width, 1 / height]);
    const value = make("b", "value", told(this.map, row * width + column)), { sections } = this.map, own = width / Math.max(1, sections.length);
    const section = sections.length ? ` in ${sections[Math.floor(column / own)]}` : "";
    this.readout.replaceChildren(value, ` at [${row}, ${column % own}]${section} of ${grid} · ${layer}`);
  }
}
