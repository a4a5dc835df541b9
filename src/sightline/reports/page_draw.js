// Drawing: raw grids to colours, as sightline.reports.drawing does it. Knows no page.

/** Bytes of a base64 text. */
function bytesOf(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Values of a map, decoded once: float32 as they were, or levels between the ends of its own scale. */
function valuesOf(map) {
  if (!map.raw) {
    const bytes = bytesOf(map.values);
    map.raw = map.levels ? levelled(bytes, map.own, map.levels) : floats(bytes);
    map.values = null;
  }
  return map.raw;
}

function floats(bytes) {
  const view = new DataView(bytes.buffer), raw = new Float32Array(view.byteLength / 4);
  for (let i = 0; i < raw.length; i++) raw[i] = view.getFloat32(4 * i, true);
  return raw;
}

function levelled(bytes, [low, high], levels) {
  return Float32Array.from(bytes, (level) => low + (level / levels) * (high - low));
}

const REACH = 4.5, bands = new Map();  // beyond so many deviations a cell adds less than a colour's step

/** Share of a normal distribution below a value (Abramowitz and Stegun 7.1.26; within 1e-7). */
function normalBelow(value) {
  const x = Math.abs(value) / Math.SQRT2, t = 1 / (1 + 0.3275911 * x);
  const rest = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * Math.exp(-x * x);
  return value < 0 ? rest / 2 : 1 - rest / 2;
}

/** For every pixel along a side the cells that it takes from, and how much of each: the display kernel. */
function bandOf(cells, pixels, deviation) {
  const key = `${cells} ${pixels} ${deviation}`;
  if (!bands.has(key)) bands.set(key, Array.from({ length: pixels }, (_, pixel) => pixelBand((pixel + 0.5) * cells / pixels, cells, deviation)));
  return bands.get(key);
}

function pixelBand(centre, cells, deviation) {
  const low = Math.floor(centre - REACH * deviation), high = Math.floor(centre + REACH * deviation);
  const first = Math.max(0, low), last = Math.min(cells - 1, high), weights = new Float32Array(last - first + 1);
  let whole = 0;
  for (let cell = low; cell <= high; cell++) {
    let home = cell;
    while (home < 0 || home >= cells) home = home < 0 ? -1 - home : 2 * cells - 1 - home;  // tails are folded back at the borders
    const weight = normalBelow((centre - cell) / deviation) - normalBelow((centre - cell - 1) / deviation);
    if (home >= first && home <= last) { weights[home - first] += weight; whole += weight; }
  }
  return { first, weights: weights.map((weight) => weight / whole) };
}

/** The map's value at every pixel, each section by itself; NaN over cells that are not finite. */
function grow(map, width, height, smooth) {
  const raw = valuesOf(map), parts = Math.max(1, map.sections.length), own = map.width / parts, grown = new Float32Array(width * height);
  const edge = (part) => Math.floor((part * width) / parts + 0.5);
  for (let part = 0; part < parts; part++) {
    const from = { raw, stride: map.width, start: part * own, width: own, height: map.height };
    const to = { grown, stride: width, start: edge(part), width: edge(part + 1) - edge(part), height };
    if (!smooth) growHard(from, to);
    else if (map.status === "nan") growHoled(from, to, map.kernel);
    else growSoft(from, to, map.kernel);
  }
  return grown;
}

/** Cells as hard rectangles. */
function growHard(from, to) {
  const home = (pixel, pixels, cells) => Math.min(cells - 1, Math.floor(((pixel + 0.5) * cells) / pixels));
  for (let y = 0; y < to.height; y++) {
    const row = home(y, to.height, from.height) * from.stride + from.start, start = y * to.stride + to.start;
    for (let x = 0; x < to.width; x++) to.grown[start + x] = from.raw[row + home(x, to.width, from.width)];
  }
}

/** Cells as soft patches: along the rows first, then down. */
function growSoft(from, to, deviation) {
  const across = bandOf(from.width, to.width, deviation), down = bandOf(from.height, to.height, deviation), lines = [];
  for (let row = 0; row < from.height; row++) {
    const line = new Float32Array(to.width), start = row * from.stride + from.start;
    for (let x = 0; x < to.width; x++) {
      const { first, weights } = across[x];
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * from.raw[start + first + i];
      line[x] = sum;
    }
    lines.push(line);
  }
  for (let y = 0; y < to.height; y++) {
    const { first, weights } = down[y], start = y * to.stride + to.start;
    for (let i = 0; i < weights.length; i++) {
      const line = lines[first + i], weight = weights[i];
      for (let x = 0; x < to.width; x++) to.grown[start + x] += weight * line[x];
    }
  }
}

/** The same where some cells are not finite: mixed from finite cells only, and those cells stay as they are. */
function growHoled(from, to, deviation) {
  const finite = Float32Array.from(from.raw, (value) => (Number.isFinite(value) ? 1 : 0)), filled = Float32Array.from(from.raw, (value) => (Number.isFinite(value) ? value : 0));
  const [share, mixed, hard] = [0, 1, 2].map(() => ({ ...to, grown: new Float32Array(to.grown.length) }));
  growSoft({ ...from, raw: finite }, share, deviation);
  growSoft({ ...from, raw: filled }, mixed, deviation);
  growHard(from, hard);
  for (let y = 0; y < to.height; y++) {
    for (let x = 0, at = y * to.stride + to.start; x < to.width; x++, at++) to.grown[at] = Number.isFinite(hard.grown[at]) ? mixed.grown[at] / Math.max(share.grown[at], 1e-12) : NaN;
  }
}

/** A photo's colours for the drawing: its own table, and its ground, which paint takes the place of. */
function openPaint(drawing, paint) {
  const bytes = bytesOf(paint.table), { width, height, values } = paint.ground, ground = bytesOf(values);
  const parts = [0, 1, 2].map((part) => Float32Array.from({ length: width * height }, (_, cell) => ground[3 * cell + part]));
  Object.assign(drawing, { bytes, colours: new Uint32Array(bytes.buffer), detail: paint.detail, ground: { width, height, parts, sizes: new Map() } });
}

/** The photo without anything fine, at a size: a list of three channels. */
function groundAt({ ground, spread }, width, height) {
  const key = `${width} ${height}`;
  if (!ground.sizes.has(key)) ground.sizes.set(key, ground.parts.map((raw) => {
    const to = { grown: new Float32Array(width * height), stride: width, start: 0, width, height };
    growSoft({ raw, stride: ground.width, start: 0, width: ground.width, height: ground.height }, to, spread);
    return to.grown;
  }));
  return ground.sizes.get(key);
}

/** Values as colours with opacity over pixels of the photo, by how dense the evidence is; hatched where not finite. */
function paintedOver(base, values, { unit, drawing }) {
  const { width, height } = base, picture = painted(values, { width, height, unit, drawing });
  if (!drawing.detail) return picture;
  const ground = groundAt(drawing, width, height), over = picture.data, below = base.data, { detail } = drawing, wanted = [0, 0, 0];
  for (let i = 0, at = 0; i < values.length; i++, at += 4) {
    const alpha = over[at + 3] / 255;
    if (!alpha || values[i] - values[i] !== 0) continue;
    let share = alpha * (1 - detail);  // as transparent as the colours allow, so that the browser's photo shows its own detail
    for (let c = 0; c < 3; c++) {
      const photo = below[at + c], colour = photo * (1 - alpha * (1 - detail)) + alpha * (over[at + c] - detail * ground[c][i]);
      const change = Math.min(255, Math.max(0, colour)) - photo;
      wanted[c] = change;
      share = Math.max(share, change > 0 ? change / (255 - photo) : change < 0 ? -change / photo : 0);
    }
    over[at + 3] = Math.min(255, Math.ceil(share * 255));
    for (let c = 0; c < 3; c++) over[at + c] = below[at + c] + (wanted[c] * 255) / over[at + 3] + 0.5;
  }
  return picture;
}

/** Values as colours with opacity, by how dense the evidence is; hatched where not finite. */
function painted(values, { width, height, unit, drawing }) {
  const picture = new ImageData(width, height), pixels = new Uint32Array(picture.data.buffer), colours = drawing.colours;
  const scale = unit.value > 0 ? 1 / (unit.value * drawing.reach) : 0, least = unit.against ? -1 : 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value - value !== 0) { hatch(picture, i, drawing.hatch); continue; }  // not finite
    const share = Math.min(1, Math.max(least, value * scale));
    pixels[i] = colours[(128.5 + 127 * (share < 0 ? -Math.sqrt(-share) : Math.sqrt(share))) | 0];
  }
  return picture;
}

function hatch(picture, i, [period, line, ground, opacity]) {
  const grey = (Math.floor(i / picture.width) + (i % picture.width)) % period < Math.floor(period / 4) ? line : ground;
  picture.data.set([grey, grey, grey, 255 * opacity], 4 * i);
}

/** Lay a painted picture over pixels of the same size. */
function laid(base, over, opacity) {
  const picture = new ImageData(base.width, base.height), to = picture.data, from = base.data, top = over.data;
  for (let at = 0; at < to.length; at += 4) {
    const share = (top[at + 3] / 255) * opacity;
    for (let c = at; c < at + 3; c++) to[c] = Math.floor(from[c] + (top[c] - from[c]) * share + 0.5);
    to[at + 3] = 255;
  }
  return picture;
}

/** A number in at most four significant digits. */
function brief(value) {
  if (value === null || !Number.isFinite(value)) return String(value === null ? "-" : value);
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

/** A map's value in words: exact where the page carries it so, else with the width of its level. */
function valueText(map, at) {
  const value = valuesOf(map)[at];
  return map.levels ? `${brief(value)} ± ${((map.own[1] - map.own[0]) / map.levels / 2).toPrecision(1)}` : exact(value);
}

/** The shortest text that names exactly this float32. */
function exact(value) {
  if (!Number.isFinite(value)) return `${Number.isNaN(value) ? "NaN" : value > 0 ? "+∞" : "−∞"} (not finite)`;
  for (let digits = 6; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(Number(value.toPrecision(9)));
}

/** A share in whole percent, with a digit where it is small. */
function percent(share) {
  return share === null ? "-" : `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}
