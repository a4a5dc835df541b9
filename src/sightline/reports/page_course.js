// The course of one flow through the layers: a strip of small pictures, what moved between them, and charts below it.

const NARROWEST = 64, WIDEST = 150, STRIP = 3, PATIENCE = 120;  // a strip's pictures are that many times larger

class Course {
  constructor(panel, { photo, pixels, common, go }) {
    Object.assign(this, { data: panel, course: panel.course, photo, common, go, key: "" });
    this.queue = new Queue();
    this.times = photo.wide ? STRIP : 1;
    this.pixels = pixels;
    this.grey = greyed(pixels);
    this.farthest = Math.max(0, ...this.course.steps.map((step) => (step ? step.moved : 0)));
    this.prefix = commonPrefix(this.data.maps.map((map) => map.layer));
    this.root = this.reel();
  }

  /** All that stands in columns, one for each layer. */
  reel() {
    const reel = make("div", "reel");
    reel.tabIndex = 0;
    reel.setAttribute("role", "group");
    reel.setAttribute("aria-label", "Layers in forward order, and the steps between them");
    this.track = make("div", "columns");
    this.light = make("i", "light");
    this.track.append(this.light, this.thumbs(), this.differences(), this.legend(), ...this.charts());
    reel.append(this.track);
    return reel;
  }

  thumbs() {
    const row = make("div", "thumbs");
    this.cards = this.data.maps.map((map, at) => {
      const card = make("button", "layer-card"), gap = this.course.gaps[at], picture = make("span", "picture");
      card.type = "button";
      card.tabIndex = -1;
      card.title = gap ? `${map.layer}: ${this.common.meaning[gap] || "no value is above zero"}` : `${map.layer}: ${map.clause}`;
      card.canvas = map.status === "ok" ? thumb(this.pixels, map.layer) : null;
      picture.append(card.canvas || make("b", "silent", gap));
      card.append(picture, make("span", "layer", ending(map.layer.slice(this.prefix))));
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
      item.canvas = step ? thumb(this.pixels, `from ${from} to ${to}: ${percent(step.moved)} moved`) : null;
      item.title = step ? `From ${from} to ${to}: ${percent(step.moved)} of the evidence moved to other places` : `From ${from} to ${to}: one of the two has no evidence to compare`;
      picture.append(item.canvas || make("b", "silent none"));
      item.append(picture, make("span", "moved", step ? `${Math.round(100 * step.moved)} %` : "none"));
      row.append(item);
      return item;
    });
    return row;
  }

  legend() {
    const key = make("p", "key");
    key.append("Second row: what each place ", make("span", "gained", "gained"), " and ", make("span", "lost", "lost"), " from a layer to the next, and the share of the evidence that moved. Paler means less.");
    return key;
  }

  /** A chart for regions, and one for each known note that the method left at two layers or more. */
  charts() {
    const { regions, strongest, named } = this.course, others = regions.map((_, at) => at).filter((at) => !strongest.includes(at));
    const lines = [...others.map((at) => ({ values: regions[at].shares, name: "other" })), ...strongest.map((at, rank) => ({ values: regions[at].shares, name: `r${rank + 1}`, label: regions[at].name })).reverse()];
    const even = named ? null : regions[0].area, high = Math.max(0.2, ...lines.flatMap((line) => line.values.map((value) => value || 0)));
    this.tracks = [this.chart(named ? "Evidence in each box" : "Evidence by region", { lines, low: 0, high, reference: even, text: percent, wide: true })];
    for (const [name, reference, text] of [["carried", this.data.score, brief], ["object", this.data.object_area, percent], ["abandoned", null, percent], ["prefix", null, percent]]) {
      const values = this.data.maps.map((map) => (Number.isFinite(map.notes[name]) ? map.notes[name] : null));
      if (values.filter((value) => value !== null).length < 2) continue;
      const ends = [0, ...values.filter((value) => value !== null), ...(reference === null ? [] : [reference])];
      const title = this.common.notes[name] + (reference === null ? "" : ` (dashed: ${name === "carried" ? "the score" : "the object's area"}, ${text(reference)})`);
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

  /** Bring the columns to the window's width; charts are drawn anew. */
  resize() {
    const count = this.data.maps.length, wide = this.root.clientWidth || 600;
    this.cell = Math.min(this.times * WIDEST, Math.max(this.times * NARROWEST, Math.floor(wide / count)));
    this.track.style.setProperty("--cell", `${this.cell}px`);
    this.track.style.setProperty("--window", `${wide}px`);
    this.track.style.setProperty("--ratio", this.pixels.width / this.pixels.height);
    this.track.style.width = `${this.cell * count}px`;
    for (const track of this.tracks) drawTrack(track.picture, { ...track.options, cell: this.cell });
    this.now = undefined;
  }

  /** Show a view; pictures are drawn anew only when something about them changed. */
  draw(view) {
    const now = this.data.at[view.layer];
    if (!this.cell) this.resize();
    this.askForPictures(view);
    if (now === this.now) return;
    if (this.cards[this.now]) this.cards[this.now].setAttribute("aria-pressed", "false");
    this.now = now;
    this.light.hidden = now === null;
    if (now !== null) {
      this.cards[now].setAttribute("aria-pressed", "true");
      this.light.style.transform = `translateX(${now * this.cell}px)`;
      this.follow(now);
    }
    for (const track of this.tracks) this.sayTrack(track, now);
  }

  /** Pictures follow the looks: at once the first time, then when a person has stopped turning a knob. */
  askForPictures(view) {
    const key = [view.opacity, view.scale, view.smooth].join();
    if (key === this.key) return;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.drawPictures({ ...view }), this.key ? PATIENCE : 0);
    this.key = key;
  }

  drawPictures(view) {
    const acts = this.data.maps.flatMap((map, at) => {
      if (!this.cards[at].canvas) return [];
      const unit = view.scale === "shared" ? this.data.shared : map;
      return [() => drawThumb(this.cards[at].canvas, map, { pixels: this.pixels, common: this.common, unit, smooth: view.smooth, opacity: view.opacity })];
    });
    if (!this.stepped) this.course.steps.forEach((step, at) => {
      const strength = step && this.farthest ? 0.9 * Math.sqrt(step.moved / this.farthest) : 0;
      if (step) acts.push(() => this.steps[at].canvas.getContext("2d").putImageData(layStep(this.grey, step, strength), 0, 0));
    });
    this.stepped = true;
    this.queue.run(acts);
  }

  /** Keep the layer shown within the strip's window, without moving the page. */
  follow(now) {
    const left = now * this.cell, { scrollLeft, clientWidth } = this.root;
    if (left < scrollLeft || left + this.cell > scrollLeft + clientWidth) this.root.scrollLeft = left - (clientWidth - this.cell) / 2;
  }

  sayTrack(track, now) {
    const { lines, text, wide, reference, low, high } = track.options;
    const entries = [...lines].reverse().filter((line) => line.label !== undefined);
    track.now.replaceChildren(
      ...entries.map((line) => make("span", `entry ${line.name}`, `${line.label} ${now === null ? "-" : text(line.values[now])}`.trim())),
      ...(wide && lines.some((line) => line.label === undefined) ? [make("span", "entry other", "the others")] : []),
      ...(wide && reference !== null ? [make("span", "entry", `dashed: even evidence, ${percent(reference)}`)] : []),
      make("span", "entry", `axis: ${text(low)} to ${text(high)}`),
    );
  }
}
