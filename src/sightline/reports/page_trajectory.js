// Drawings of a flow's course: the way of the centre over the photo, differences between maps, charts by layer.

const GAINED = [22, 185, 105], LOST = [172, 70, 235];
const REACH = 260, CHART = 74;

/** A picture of `pixels` with its longer side brought to `side`. */
function shrunk(pixels, side) {
  const full = make("canvas"), small = make("canvas"), share = side / Math.max(pixels.width, pixels.height);
  [full.width, full.height] = [pixels.width, pixels.height];
  full.getContext("2d").putImageData(pixels, 0, 0);
  [small.width, small.height] = [Math.max(1, Math.round(pixels.width * share)), Math.max(1, Math.round(pixels.height * share))];
  const pen = small.getContext("2d", { willReadFrequently: true });
  pen.imageSmoothingQuality = "high";
  pen.drawImage(full, 0, 0, small.width, small.height);
  return pen.getImageData(0, 0, small.width, small.height);
}

/** The same picture in pale grey, so that colours over it stand out. */
function greyed(pixels) {
  const grey = new ImageData(pixels.width, pixels.height), from = pixels.data;
  for (let at = 0; at < from.length; at += 4) {
    const light = 0.3 * from[at] + 0.59 * from[at + 1] + 0.11 * from[at + 2];
    grey.data.set([50 + 0.55 * light, 50 + 0.55 * light, 50 + 0.55 * light, 255], at);
  }
  return grey;
}

/** A difference over a grey picture: green where evidence was gained, purple where it was lost; `strength` in 0..1. */
function layStep(grey, step, { strength, smooth }) {
  const picture = new ImageData(grey.width, grey.height), values = grow(step, grey.width, grey.height, smooth);
  for (let i = 0, at = 0; i < values.length; i++, at += 4) {
    const share = step.reach > 0 ? (strength * Math.abs(values[i])) / step.reach : 0, colour = values[i] > 0 ? GAINED : LOST;
    for (let c = 0; c < 3; c++) picture.data[at + c] = grey.data[at + c] * (1 - share) + colour[c] * share;
    picture.data[at + 3] = 255;
  }
  return picture;
}

/** The colour of a depth, 0 (first layer) to 1 (last), from the table of unsigned maps without its dark end. */
function depthColour(table, depth) {
  const at = 3 * Math.round(70 + depth * 175);
  return `rgb(${table[at]} ${table[at + 1]} ${table[at + 2]})`;
}

/** Draw regions, the way of the centre and its spread at one layer into an SVG that lies over the photo. */
function drawWay(to, { course, ratio, table, layer }) {
  const [width, height] = ratio >= 1 ? [REACH, REACH / ratio] : [REACH * ratio, REACH];
  to.setAttribute("viewBox", `0 0 ${width} ${height}`);
  to.replaceChildren();
  course.regions.forEach((region, place) => drawRegion(to, { region, rank: course.strongest.indexOf(place), width, height }));
  const dots = course.centres.map((centre, at) => centre && { at, x: centre[0] * width, y: centre[1] * height, across: centre[2] * width, down: centre[3] * height });
  const seen = dots.filter(Boolean), last = Math.max(1, dots.length - 1), now = dots[layer];
  for (let i = 1; i < seen.length; i++) {
    const [a, b] = [seen[i - 1], seen[i]], ends = { x1: a.x, y1: a.y, x2: b.x, y2: b.y };
    to.append(svg("line", { class: "casing", ...ends }), svg("line", { class: b.at - a.at > 1 ? "way gap" : "way", ...ends, stroke: depthColour(table, b.at / last) }));
  }
  for (const dot of seen) to.append(svg("circle", { class: "halt", cx: dot.x, cy: dot.y, r: 2.6, fill: depthColour(table, dot.at / last) }));
  if (!now) return;
  for (const name of ["casing", "spread"]) to.append(svg("ellipse", { class: name, cx: now.x, cy: now.y, rx: now.across, ry: now.down }));
  to.append(svg("circle", { class: "halt now", cx: now.x, cy: now.y, r: 4.2, fill: depthColour(table, now.at / last) }));
}

/** A region's outline, and a mark in its colour if it is one of the strongest. */
function drawRegion(to, { region, rank, width, height }) {
  const [x, y, wide, high] = region.box;
  to.append(svg("rect", { class: "region", x: x * width, y: y * height, width: wide * width, height: high * height }));
  if (rank >= 0) to.append(svg("rect", { class: `mark r${rank + 1}`, x: x * width + 4, y: y * height + 4, width: 8, height: 8, rx: 2 }));
}

/** A chart whose columns stand under the layers: lines with gaps, a reference, dots at one layer. */
function drawTrack(to, { lines, cell, low, high, reference, layer }) {
  const count = lines[0].values.length, span = high - low || 1, width = count * cell;
  const x = (at) => (at + 0.5) * cell, y = (value) => CHART - 6 - ((value - low) / span) * (CHART - 22);
  to.setAttribute("viewBox", `0 0 ${width} ${CHART}`);
  Object.assign(to.style, { width: `${width}px`, height: `${CHART}px` });
  to.replaceChildren(svg("line", { class: "ground", x1: 0, x2: width, y1: y(Math.max(low, 0)), y2: y(Math.max(low, 0)) }));
  if (reference !== null) to.append(svg("line", { class: "even", x1: 0, x2: width, y1: y(reference), y2: y(reference) }));
  for (const { values, name } of lines) {
    let path = "", pen = false;
    values.forEach((value, at) => {
      if (value === null) { pen = false; return; }
      path += `${pen ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = true;
      const lonely = (at === 0 || values[at - 1] === null) && (at === count - 1 || values[at + 1] === null);
      if (at === layer || lonely) to.append(svg("circle", { class: `dot ${name}`, cx: x(at), cy: y(value), r: at === layer ? 3.5 : 2 }));
    });
    to.append(svg("path", { class: `line ${name}`, d: path || "M0 0" }));
  }
}
