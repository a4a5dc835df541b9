// Methods beside one another: a row for each method and decision, a column for each layer.

class Rows {
  constructor(photo, { pixels, common, choose }) {
    Object.assign(this, { photo, pixels, common, key: "" });
    this.queue = new Queue();
    this.root = make("div", "matrix");
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Methods in rows, layers in columns");
    const prefix = commonPrefix(photo.layers), table = make("div", "matrix-rows"), head = make("div", "matrix-row head");
    table.style.setProperty("--columns", photo.layers.length);
    table.classList.toggle("wide", photo.wide);
    head.append(make("span", "matrix-name"), ...photo.layers.map((layer) => { const name = make("span", "layer", ending(layer.slice(prefix))); name.title = layer; return name; }));
    table.append(head, ...photo.panels.map((panel, at) => this.row(panel, at, choose)));
    this.root.append(table);
  }

  row(panel, at, choose) {
    const row = make("div", `matrix-row c${at + 1}`), name = make("span", "matrix-name");
    name.append(make("b", "method", panel.method), make("span", "label", panel.label));
    row.append(name);
    panel.cells = this.photo.layers.map((layer, column) => {
      const map = panel.at[column] === null ? null : panel.maps[panel.at[column]], cell = make("button", "cell-button");
      cell.type = "button";
      cell.tabIndex = -1;
      cell.title = map ? `${panel.method}, ${map.layer}: ${map.clause}` : `${panel.method} has no map at ${layer}`;
      cell.canvas = map && map.status === "ok" ? thumb(this.pixels, `${panel.method}, ${map.layer}`) : null;
      cell.append(cell.canvas || make("b", "silent none", map ? map.status : "no map"));
      cell.addEventListener("click", () => choose(at, column));
      row.append(cell);
      return cell;
    });
    return row;
  }

  draw(view) {
    const key = [view.opacity, view.scale, view.smooth].join();
    if (key !== this.key) {
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.drawPictures({ ...view }), this.key ? PATIENCE : 30);
      this.key = key;
    }
    if (this.now) this.now.setAttribute("aria-pressed", "false");
    this.now = this.photo.panels[view.panel].cells[view.layer];
    this.now.setAttribute("aria-pressed", "true");
  }

  drawPictures(view) {
    this.queue.run(this.photo.panels.flatMap((panel) => panel.cells.flatMap((cell, column) => {
      if (!cell.canvas) return [];
      const map = panel.maps[panel.at[column]], unit = view.scale === "shared" ? panel.shared : map;
      return [() => drawThumb(cell.canvas, map, { pixels: this.pixels, common: this.common, unit, smooth: view.smooth, opacity: view.opacity })];
    })));
  }
}
