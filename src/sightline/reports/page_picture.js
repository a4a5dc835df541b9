// The large picture: the photo, and over the part that the network saw the map, the outline, boxes and what is hidden.

const FINE = 320;  // longer side of the drawn map, in pixels; the browser enlarges it

/** A new element; `text` is always text, never markup. */
function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** A new SVG element with attributes. */
function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** Put a marker over a part of its parent, given as shares of its sides; null hides it. */
function place(marker, part) {
  marker.hidden = !part;
  if (!part) return;
  const [left, top, width, height] = part.map((share) => `${100 * share}%`);
  Object.assign(marker.style, { left, top, width, height });
}

/** Width and height of the drawn map for a picture of a ratio. */
function fine(ratio, side = FINE) {
  return ratio >= 1 ? [side, Math.max(1, Math.round(side / ratio))] : [Math.max(1, Math.round(side * ratio)), side];
}

class Picture {
  constructor(common) {
    Object.assign(this, { common, map: null });
    this.frame = find("frame");
    this.photo = find("photo");
    this.first = this.photo.getAttribute("src");  // the first photo stands in the page itself
    this.field = find("field");
    this.canvas = find("map");
    this.lines = find("lines");
    this.cell = find("cell");
    this.box = find("phrase-box");
  }

  /** Take a photo; `data` has its picture, the part that the network saw (`crop`) and how it saw it (`seen`). */
  async open(data) {
    const [, , wide, high] = data.crop || [0, 0, 1, 1];
    Object.assign(this, { data, key: "", address: data.image || this.first, ratio: (wide * data.width) / (high * data.height) });
    this.view("map");
    openPaint(this.common.drawing, data.paint);
    await this.photo.decode();
    this.keep();
  }

  /** Show the map over the photo, the photo alone, or the map over what the network saw. */
  view(name) {
    const { data } = this, seen = name === "seen" && data.seen, own = seen || data, crop = (!seen && data.crop) || [0, 0, 1, 1];
    const address = seen ? seen.image : this.address;
    if (this.photo.getAttribute("src") !== address) this.photo.src = address;
    const ratio = own.width / own.height;
    find("look").style.setProperty("--ratio", ratio);
    this.frame.classList.toggle("tiny", Math.max(own.width, own.height) < 200);
    this.frame.classList.toggle("cropped", Boolean(!seen && data.crop));
    this.frame.classList.toggle("bare", name === "photo");
    place(this.field, crop);
    const [width, height] = fine(this.ratio, 1000);
    this.lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    Object.assign(this, { width, height, shown: name });
  }

  /** Draw a map, its outline and the boxes of the decision. */
  draw(map, { unit, smooth, opacity, outline, target, box, label }) {
    this.canvas.hidden = !map;
    this.map = map;
    this.canvas.style.opacity = opacity;
    place(this.box, box);
    this.drawLines(map && outline ? map.outline : [], target);
    if (!map) return;
    this.canvas.setAttribute("aria-label", label);
    this.canvas.classList.toggle("cells", !smooth);
    const [width, height] = smooth ? fine(this.ratio) : [map.width, map.height];
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const values = smooth ? grow(map, width, height, true) : valuesOf(map);
    this.canvas.getContext("2d").putImageData(paintedOver(this.below(width, height), values, { unit, drawing: this.common.drawing }), 0, 0);
  }

  /** Keep what lies under the map, small: the photo on show may be another one later. */
  keep() {
    const [width, height] = fine(this.ratio);
    this.paper = make("canvas");
    Object.assign(this.paper, { width, height });
    this.paper.getContext("2d").putImageData(partPixels(this.photo, this.data.crop, width, height), 0, 0);
    this.sizes = new Map();
  }

  /** Pixels of what lies under the map, at a size. */
  below(width, height) {
    const key = `${width} ${height}`;
    if (!this.sizes.has(key)) this.sizes.set(key, partPixels(this.paper, null, width, height));
    return this.sizes.get(key);
  }

  /** The outline around half of the evidence and the decision's own box: light lines inside dark ones. */
  drawLines(outline, target) {
    const key = JSON.stringify([outline, target, this.width, this.height]);
    if (key === this.key) return;
    this.key = key;
    const paths = [["outline", outline.map((ring) => ringPath(ring, this.width, this.height)).join("")]];
    for (const ring of target || []) paths.push(["target", ringPath(ring, this.width, this.height)]);
    this.lines.replaceChildren(...paths.filter(([, d]) => d).flatMap(([name, d]) => [svg("path", { class: `casing ${name}`, d }), svg("path", { class: name, d })]));
  }

  /** Where in the field a pointer is, as shares of its sides; null outside of it. */
  at(event) {
    const bounds = this.field.getBoundingClientRect(), x = (event.clientX - bounds.left) / bounds.width, y = (event.clientY - bounds.top) / bounds.height;
    return x >= 0 && y >= 0 && x < 1 && y < 1 ? [x, y] : null;
  }

  /** The raw value under a point, in words; marks its cell. */
  point(where) {
    if (!this.map || !where) { place(this.cell, null); return null; }
    const { width, height, layer, grid, sections } = this.map;
    const column = Math.min(width - 1, Math.floor(where[0] * width)), row = Math.min(height - 1, Math.floor(where[1] * height));
    place(this.cell, [column / width, row / height, 1 / width, 1 / height]);
    const own = width / Math.max(1, sections.length), section = sections.length ? ` in ${sections[Math.floor(column / own)]}` : "";
    return { value: valueText(this.map, row * width + column), where: `at [${row}, ${column % own}]${section} of ${grid} · ${layer}` };
  }
}

/** The path of a closed ring: twelve bits for each x and y, as shares of the sides. */
function ringPath(ring, width, height) {
  const bytes = bytesOf(ring);
  let path = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const x = ((bytes[i] << 4) | (bytes[i + 1] >> 4)) / 4095, y = (((bytes[i + 1] & 15) << 8) | bytes[i + 2]) / 4095;
    path += `${i ? "L" : "M"}${(x * width).toFixed(1)} ${(y * height).toFixed(1)}`;
  }
  return path && `${path}Z`;
}
