// Drawing: raw grids to pixels, exactly as sightline.reports.colour does it. Knows no page.

const HATCH = 8, HATCH_LINE = 235, HATCH_GROUND = 70;

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

/** The same for equal parts side by side, each by itself. */
function partedTaps(cells, pixels, parts) {
  const edge = (part) => Math.round((part * pixels) / parts), own = cells / parts;
  return Array.from({ length: parts }, (_, part) => part).flatMap((part) => taps(own, edge(part + 1) - edge(part)).map((tap) => (
    { first: tap.first + part * own, second: tap.second + part * own, weight: tap.weight, home: tap.home + part * own })));
}

/** For every pixel along a side: the two cells around it, the second one's weight, and the cell that it lies in. */
function taps(cells, pixels) {
  return Array.from({ length: pixels }, (_, pixel) => {
    const centre = ((pixel + 0.5) * cells) / pixels;
    const place = Math.max(0, centre - 0.5), first = Math.min(cells - 1, Math.floor(place));
    const second = Math.min(cells - 1, first + 1);
    return { first, second, weight: place - first, home: Math.min(cells - 1, Math.floor(centre)) };
  });
}

/** Bilinear value among finite cells only (align_corners=False). */
function mixed(raw, width, row, column) {
  const corners = [
    [row.first, column.first, (1 - row.weight) * (1 - column.weight)],
    [row.first, column.second, (1 - row.weight) * column.weight],
    [row.second, column.first, row.weight * (1 - column.weight)],
    [row.second, column.second, row.weight * column.weight],
  ];
  let sum = 0, weight = 0;
  for (const [r, c, share] of corners) {
    const value = raw[r * width + c];
    if (Number.isFinite(value)) { sum += share * value; weight += share; }
  }
  return sum / Math.max(weight, 1e-12);
}

/** The map's value at every pixel; NaN over cells that are not finite. */
function grow(map, width, height, smooth) {
  const raw = valuesOf(map), grown = new Float32Array(width * height);
  const rows = taps(map.height, height), columns = partedTaps(map.width, width, Math.max(1, map.sections.length));
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const home = raw[rows[y].home * map.width + columns[x].home];
      if (!Number.isFinite(home)) grown[at] = NaN;
      else if (!smooth) grown[at] = home;
      else if (map.status === "nan") grown[at] = mixed(raw, map.width, rows[y], columns[x]);
      else grown[at] = blend(raw, map.width, rows[y], columns[x]);
    }
  }
  return grown;
}

/** Bilinear value where all cells are finite. */
function blend(raw, width, row, column) {
  const above = row.first * width, below = row.second * width, right = column.weight;
  const top = raw[above + column.first] * (1 - right) + raw[above + column.second] * right;
  const bottom = raw[below + column.first] * (1 - right) + raw[below + column.second] * right;
  return top * (1 - row.weight) + bottom * row.weight;
}

/** Grey of the hatching on a diagonal. */
function hatch(diagonal) {
  return diagonal % HATCH < HATCH / 4 ? HATCH_LINE : HATCH_GROUND;
}

/** Lay values over a photo's pixels: (1 - opacity) photo + opacity colour, hatched where not finite. */
function lay(photo, values, { limits, table, opacity, signed }) {
  const picture = new ImageData(photo.width, photo.height), to = picture.data, from = photo.data;
  const [low, high] = limits, span = high - low;
  for (let i = 0, at = 0; i < values.length; i++, at += 4) {
    const value = values[i], finite = Number.isFinite(value);
    const share = span > 0 ? Math.min(1, Math.max(0, (value - low) / span)) : signed ? 0.5 : 0;
    const step = 3 * Math.floor(share * 255 + 0.5);
    const line = finite ? 0 : hatch(Math.floor(i / photo.width) + (i % photo.width));
    for (let c = 0; c < 3; c++) {
      to[at + c] = Math.round(from[at + c] * (1 - opacity) + (finite ? table[step + c] : line) * opacity);
    }
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
function told(map, at) {
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
