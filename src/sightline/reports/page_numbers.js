// The numbers of one explanation: those of the layer shown with a line on each, the way of the centre, and a table.

class Numbers {
  constructor(panel, { photo, pixels, common }) {
    Object.assign(this, { data: panel, course: panel.course, photo, pixels, common });
    this.root = make("div", "numbers-of");
    this.cards = make("dl", "figures");
    this.status = make("p", "alert status");
    this.root.append(this.status, this.cards);
    if (panel.remarks.length) this.root.append(this.remarks());
    if (this.course && this.course.centres.some(Boolean)) this.root.append(this.way());
    if (this.course) this.root.append(this.table());
    this.root.append(this.origin());
  }

  remarks() {
    const list = make("ul", "remarks list");
    list.append(...this.data.remarks.map((sentence) => make("li", "", sentence)));
    return list;
  }

  /** What is known at a layer: name, value and a line that says what it is. */
  facts(map) {
    const { data, common } = this, rows = [];
    const add = (name, value) => rows.push([common.names[name] || common.notes[name] || name, value, common.help[name] || ""]);
    if (data.probability !== null) add("probability", `${(100 * data.probability).toFixed(1)} %`);
    if (data.score !== null) add("score", brief(data.score));
    if (!map) return rows;
    if (map.half !== null) add("half", percent(halfOf(map)));
    const on = data.on_object[data.maps.indexOf(map)];
    if (on != null && !("object" in map.notes)) add(data.object_name, percent(on));
    if (map.opposed > 0) add("against", percent(map.opposed));
    if (map.concentration !== null) add("concentration", percent(map.concentration));
    add("grid", map.grid);
    add("peak", brief(Math.max(Math.abs(map.own[0]), Math.abs(map.own[1]))));
    for (const [name, value] of Object.entries(map.notes)) add(name, common.shares.includes(name) ? percent(value) : brief(value));
    return rows;
  }

  /** Show a view. */
  draw(view) {
    const at = this.data.at[view.layer], map = at === null ? null : this.data.maps[at];
    this.status.hidden = !map || map.status === "ok";
    if (!this.status.hidden) this.status.replaceChildren(make("b", "badge", map.status), ` ${this.common.meaning[map.status]}`);
    const facts = this.facts(map);
    if (this.names !== facts.map((fact) => fact[0]).join("\n")) this.fill(facts);
    facts.forEach(([, value], i) => { if (this.values[i].textContent !== value) this.values[i].textContent = value; });
    if (this.over) this.drawWay(at);
    if (this.rows) this.rows.forEach((row, i) => row.classList.toggle("now", i === at));
  }

  fill(facts) {
    this.names = facts.map((fact) => fact[0]).join("\n");
    this.values = facts.map(([, value]) => make("dd", "value", value));
    this.cards.replaceChildren(...facts.map(([name, , help], i) => {
      const card = make("div", "card");
      card.append(make("dt", "", name), this.values[i]);
      if (help) card.append(make("dd", "help", help));
      return card;
    }));
  }

  /** The photo with the way of the centre of the evidence. */
  way() {
    const fold = make("details", "fold way-fold"), figure = make("figure", "way-figure"), frame = make("div", "frame small"), canvas = thumb(this.pixels, "the way of the centre of the evidence over the photo");
    canvas.getContext("2d").putImageData(greyed(this.pixels), 0, 0);
    this.over = svg("svg", { class: "over", "aria-hidden": "true" });
    frame.append(canvas, this.over);
    this.here = make("p", "here");
    const ramp = make("p", "ramp"), bar = make("canvas");
    [bar.width, bar.height] = [64, 1];
    for (let i = 0; i < 64; i++) { const pen = bar.getContext("2d"); pen.fillStyle = depthColour(i / 63); pen.fillRect(i, 0, 1, 1); }
    ramp.append(make("span", "", "first layer"), bar, make("span", "", "last layer"));
    figure.append(frame, ramp, this.here, make("figcaption", "", "Centre of the positive evidence, layer by layer. The ellipse is one standard deviation at the layer shown."));
    fold.append(make("summary", "", "How the centre of the evidence moves"), figure);
    fold.addEventListener("toggle", () => { if (fold.open) this.drawWay(this.now); });
    this.fold = fold;
    return fold;
  }

  drawWay(now) {
    this.now = now;
    if (!this.fold.open) return;
    drawWay(this.over, { course: this.course, ratio: this.pixels.width / this.pixels.height, layer: now });
    this.here.textContent = this.placeOf(now);
  }

  placeOf(now) {
    if (now === null) return "";
    const map = this.data.maps[now], centre = this.course.centres[now];
    if (!centre) return `${map.layer}: ${this.course.gaps[now]}, no centre`;
    return `${map.layer}: ${percent(centre[0])} from the left, ${percent(centre[1])} from the top; spread ${percent(centre[2])} × ${percent(centre[3])}`;
  }

  /** All layers as a table; its rows are made when it is first opened. */
  table() {
    const fold = make("details", "fold numbers");
    fold.append(make("summary", "", "All layers as a table"));
    fold.addEventListener("toggle", () => {
      if (!fold.open || this.rows) return;
      const box = make("div", "scroll"), table = make("table");
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", "All layers");
      table.append(this.headRow(), this.body());
      box.append(table);
      fold.append(box);
    });
    return fold;
  }

  notes() {
    return [...new Set(this.data.maps.flatMap((map) => Object.keys(map.notes)))];
  }

  headRow() {
    const head = make("thead"), row = make("tr"), words = ["layer", "grid", "status", "half of the evidence in", "peak", "centre", "spread", "moved since the layer before"];
    const regions = this.course.regions.map((region) => region.name), notes = this.notes().map((name) => this.common.notes[name] || name);
    for (const word of [...words, ...regions, ...notes]) { const cell = make("th", "", word); cell.scope = "col"; row.append(cell); }
    head.append(row);
    return head;
  }

  body() {
    const body = make("tbody"), names = this.notes();
    this.rows = this.data.maps.map((map, at) => {
      const row = make("tr"), centre = this.course.centres[at], step = at ? this.course.steps[at - 1] : null, head = make("th", "", map.layer);
      head.scope = "row";
      const spot = centre ? [`${percent(centre[0])}, ${percent(centre[1])}`, `${percent(centre[2])} × ${percent(centre[3])}`] : ["-", "-"];
      const facts = [map.grid, this.course.gaps[at] || map.status, percent(map.half), brief(Math.max(Math.abs(map.own[0]), Math.abs(map.own[1]))), ...spot, step ? percent(step.moved) : "-"];
      const shares = this.course.regions.map((region) => percent(region.shares[at])), notes = names.map((name) => (name in map.notes ? brief(map.notes[name]) : "-"));
      row.append(head, ...[...facts, ...shares, ...notes].map((text) => make("td", "", text)));
      return row;
    });
    body.append(...this.rows);
    return body;
  }

  origin() {
    const fold = make("details", "fold origin");
    fold.append(make("summary", "", "Where this came from: model, method, versions"), make("pre", "", this.data.provenance || "No provenance was recorded."));
    return fold;
  }
}
