// Erase and see: a brush and a box hide parts of the picture; how much of the evidence lies under them is said at once.

const MASK = 256, STEP = 0.02, LEAST_BOX = 0.04;

/** Shares of a map's evidence, for and against, under a mask of `width` x `height` pixels; null where there is none. */
function hiddenShares(map, mask, width, height) {
  const raw = valuesOf(map), hidden = new Float64Array(raw.length), whole = new Float64Array(raw.length);
  if (raw.length > width * height) coverByCells(map, mask, width, height, hidden, whole);
  else coverByPixels(map, mask, width, height, hidden, whole);
  const sums = { for: [0, 0], against: [0, 0] };
  for (let i = 0; i < raw.length; i++) {
    if (!Number.isFinite(raw[i]) || !raw[i]) continue;
    const sum = raw[i] > 0 ? sums.for : sums.against, size = Math.abs(raw[i]);
    sum[0] += whole[i] ? (size * hidden[i]) / whole[i] : 0;
    sum[1] += size;
  }
  return { for: sums.for[1] ? sums.for[0] / sums.for[1] : null, against: sums.against[1] ? sums.against[0] / sums.against[1] : null };
}

/** For each cell how many pixels it has, and how many of them are hidden. */
function coverByPixels(map, mask, width, height, hidden, whole) {
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.min(map.height - 1, Math.floor(((y + 0.5) * map.height) / height)) * map.width;
    for (let x = 0; x < width; x++, at++) {
      const cell = row + Math.min(map.width - 1, Math.floor(((x + 0.5) * map.width) / width));
      whole[cell]++;
      if (mask[at]) hidden[cell]++;
    }
  }
}

/** The same where cells are smaller than pixels: a cell is hidden where its middle is. */
function coverByCells(map, mask, width, height, hidden, whole) {
  for (let row = 0, cell = 0; row < map.height; row++) {
    const y = Math.floor(((row + 0.5) / map.height) * height) * width;
    for (let column = 0; column < map.width; column++, cell++) {
      whole[cell] = 1;
      hidden[cell] = mask[y + Math.floor(((column + 0.5) / map.width) * width)] ? 1 : 0;
    }
  }
}

class Eraser {
  constructor(picture, { changed }) {
    Object.assign(this, { picture, changed, acts: [], stroke: null, on: false, size: 0.12, where: null });
    this.canvas = find("erased");
    this.hider = find("hider");
    this.listen();
  }

  /** Begin anew over a picture. */
  open() {
    [this.canvas.width, this.canvas.height] = fine(this.picture.ratio, MASK);
    Object.assign(this, { acts: [], stroke: null });
    this.box(null);
    this.redraw();
  }

  /** Whether anything is hidden. */
  get any() { return this.acts.length > 0 || this.where !== null; }

  turn(on) {
    this.on = on;
    this.picture.frame.classList.toggle("erasing", on);
  }

  undo() {
    if (this.where) this.box(null);
    else this.acts.pop();
    this.redraw();
  }

  clear() {
    this.acts = [];
    this.box(null);
    this.redraw();
  }

  /** Put the box somewhere, given as shares, within the picture; null takes it away. */
  box(where) {
    if (where) {
      const [x, y, width, height] = where, wide = Math.min(1, Math.max(LEAST_BOX, width)), high = Math.min(1, Math.max(LEAST_BOX, height));
      where = [Math.min(1 - wide, Math.max(0, x)), Math.min(1 - high, Math.max(0, y)), wide, high];
    }
    this.where = where;
    place(this.hider, where);
  }

  /** Draw all that is hidden, and say what that holds. */
  redraw() {
    const pen = this.canvas.getContext("2d", { willReadFrequently: true }), { width, height } = this.canvas;
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = pen.strokeStyle = "#7d828c";
    pen.lineCap = pen.lineJoin = "round";
    for (const act of [...this.acts, ...(this.stroke ? [this.stroke] : []), ...(this.where ? [{ box: this.where }] : [])]) {
      if (act.box) pen.fillRect(act.box[0] * width, act.box[1] * height, act.box[2] * width, act.box[3] * height);
      else drawStroke(pen, act, width, height);
    }
    const bytes = pen.getImageData(0, 0, width, height).data;
    this.mask = Uint8Array.from({ length: width * height }, (_, i) => bytes[4 * i + 3] > 127);
    this.area = this.mask.reduce((sum, on) => sum + on, 0) / this.mask.length;
    this.changed();
  }

  /** Shares of a map's evidence that are hidden. */
  shares(map) {
    return hiddenShares(map, this.mask, this.canvas.width, this.canvas.height);
  }

  listen() {
    const { frame } = this.picture, end = () => {
      if (!this.stroke) return;
      this.acts.push(this.stroke);
      this.stroke = null;
      this.redraw();
    };
    frame.addEventListener("pointerdown", (event) => {
      const where = this.picture.at(event);
      if (!this.on || !where || event.target === this.hider || event.button) return;
      event.preventDefault();
      frame.setPointerCapture(event.pointerId);
      this.stroke = { size: this.size, points: [where] };
      this.redraw();
    });
    frame.addEventListener("pointermove", (event) => {
      const where = this.stroke && this.picture.at(event);
      if (!where) return;
      this.stroke.points.push(where);
      this.redraw();
    });
    frame.addEventListener("pointerup", end);
    frame.addEventListener("pointercancel", end);
    this.listenToBox();
  }

  listenToBox() {
    this.hider.addEventListener("keydown", (event) => {
      const act = this.moves(event.shiftKey ? 5 * STEP : STEP)[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      act();
      this.redraw();
    });
    let from = null;
    this.hider.addEventListener("pointerdown", (event) => { from = { x: event.clientX, y: event.clientY, box: this.where }; this.hider.setPointerCapture(event.pointerId); });
    this.hider.addEventListener("pointermove", (event) => {
      if (!from) return;
      const bounds = this.picture.field.getBoundingClientRect(), [x, y, ...size] = from.box;
      this.box([x + (event.clientX - from.x) / bounds.width, y + (event.clientY - from.y) / bounds.height, ...size]);
      this.redraw();
    });
    for (const name of ["pointerup", "pointercancel"]) this.hider.addEventListener(name, () => { from = null; });
  }

  /** What the keys do to the box. */
  moves(step) {
    const [x, y, width, height] = this.where, grown = (by) => this.box([x - by / 2, y - by / 2, width + by, height + by]);
    return {
      ArrowLeft: () => this.box([x - step, y, width, height]), ArrowRight: () => this.box([x + step, y, width, height]),
      ArrowUp: () => this.box([x, y - step, width, height]), ArrowDown: () => this.box([x, y + step, width, height]),
      "+": () => grown(step), "=": () => grown(step), "-": () => grown(-step),
      Enter: () => this.acts.push({ box: this.where }),
      Delete: () => this.drop(), Escape: () => this.drop(),
    };
  }

  drop() {
    this.box(null);
    find("box").focus();
  }
}

function drawStroke(pen, { size, points }, width, height) {
  pen.lineWidth = size * Math.max(width, height);
  pen.beginPath();
  pen.moveTo(points[0][0] * width, points[0][1] * height);
  for (const [x, y] of points) pen.lineTo(x * width, y * height + 0.01);
  pen.stroke();
}
