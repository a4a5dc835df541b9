// Drawings of a flow's course: the way of the centre over the photo, differences between maps, charts by layer.

const GAINED = [22, 185, 105], LOST = [172, 70, 235];
const SPAN = 260, CHART = 74;

/** The same picture in pale grey, so that colours over it stand out. */
function greyed(pixels) {
  const grey = new ImageData(pixels.width, pixels.height), from = pixels.data;
  for (let at = 0; at < from.length; at += 4) {
    const light = 50 + 0.55 * (0.3 * from[at] + 0.59 * from[at + 1] + 0.11 * from[at + 2]);
    grey.data.set([light, light, light, 255], at);
  }
  return grey;
}

/** For every pixel along a side: the two cells around it and the second one's weight (align_corners=False). */
function taps(cells, pixels, parts) {
  const edge = (part) => Math.floor((part * pixels) / parts + 0.5), own = cells / parts, result = [];
  for (let part = 0; part < parts; part++) {
    const count = edge(part + 1) - edge(part);
    for (let pixel = 0; pixel < count; pixel++) {
      const place = Math.max(0, ((pixel + 0.5) * own) / count - 0.5), first = Math.min(own - 1, Math.floor(place));
      result.push({ first: part * own + first, second: part * own + Math.min(own - 1, first + 1), weight: place - first });
    }
  }
  return result;
}

/** Bilinear values of a difference at every pixel. */
function between(step, width, height) {
  const raw = valuesOf(step), rows = taps(step.height, height, 1), columns = taps(step.width, width, Math.max(1, step.sections.length)), values = new Float32Array(width * height);
  for (let y = 0, at = 0; y < height; y++) {
    const { first, second, weight } = rows[y], above = first * step.width, below = second * step.width;
    for (let x = 0; x < width; x++, at++) {
      const one = columns[x], mix = (row) => raw[row + one.first] * (1 - one.weight) + raw[row + one.second] * one.weight;
      values[at] = mix(above) * (1 - weight) + mix(below) * weight;
    }
  }
  return values;
}

/** A difference over a grey picture: green where evidence was gained, purple where it was lost; `strength` in 0..1. */
function layStep(grey, step, strength) {
  const picture = new ImageData(grey.width, grey.height), values = between(step, grey.width, grey.height);
  for (let i = 0, at = 0; i < values.length; i++, at += 4) {
    const share = step.reach > 0 ? (strength * Math.abs(values[i])) / step.reach : 0, colour = values[i] > 0 ? GAINED : LOST;
    for (let c = 0; c < 3; c++) picture.data[at + c] = grey.data[at + c] * (1 - share) + colour[c] * share;
    picture.data[at + 3] = 255;
  }
  return picture;
}

/** The colour of a depth, 0 (first layer) to 1 (last): dark violet to yellow, evenly lighter. */
function depthColour(depth) {
  const stops = [[64, 38, 118], [45, 112, 142], [53, 183, 121], [253, 231, 37]], at = Math.min(2.999, depth * 3), first = Math.floor(at), share = at - first;
  return `rgb(${stops[first].map((value, c) => Math.round(value + (stops[first + 1][c] - value) * share)).join(" ")})`;
}

/** Draw regions, the way of the centre and its spread at one layer into an SVG that lies over the photo. */
function drawWay(to, { course, ratio, layer }) {
  const [width, height] = ratio >= 1 ? [SPAN, SPAN / ratio] : [SPAN * ratio, SPAN];
  to.setAttribute("viewBox", `0 0 ${width} ${height}`);
  to.replaceChildren();
  course.regions.forEach((region, at) => drawRegion(to, { region, rank: course.strongest.indexOf(at), width, height }));
  const dots = course.centres.map((centre, at) => centre && { at, x: centre[0] * width, y: centre[1] * height, across: centre[2] * width, down: centre[3] * height });
  const seen = dots.filter(Boolean), last = Math.max(1, dots.length - 1), now = dots[layer];
  for (let i = 1; i < seen.length; i++) {
    const [a, b] = [seen[i - 1], seen[i]], ends = { x1: a.x, y1: a.y, x2: b.x, y2: b.y };
    to.append(svg("line", { class: "casing", ...ends }), svg("line", { class: b.at - a.at > 1 ? "way gap" : "way", ...ends, stroke: depthColour(b.at / last) }));
  }
  for (const dot of seen) to.append(svg("circle", { class: "halt", cx: dot.x, cy: dot.y, r: 2.6, fill: depthColour(dot.at / last) }));
  if (!now) return;
  for (const name of ["casing", "spread"]) to.append(svg("ellipse", { class: name, cx: now.x, cy: now.y, rx: now.across, ry: now.down }));
  to.append(svg("circle", { class: "halt now", cx: now.x, cy: now.y, r: 4.2, fill: depthColour(now.at / last) }));
}

/** A region's outline, and a mark in its colour if it is one of the strongest. */
function drawRegion(to, { region, rank, width, height }) {
  const [x, y, wide, high] = region.box;
  to.append(svg("rect", { class: "region", x: x * width, y: y * height, width: wide * width, height: high * height }));
  if (rank >= 0) to.append(svg("rect", { class: `mark r${rank + 1}`, x: x * width + 4, y: y * height + 4, width: 8, height: 8, rx: 2 }));
}

/** A chart whose columns stand under the layers: lines with gaps, dots, and a reference. */
function drawTrack(to, { lines, cell, low, high, reference }) {
  const count = lines[0].values.length, span = high - low || 1, width = count * cell;
  const x = (at) => (at + 0.5) * cell, y = (value) => CHART - 6 - ((value - low) / span) * (CHART - 12);
  to.setAttribute("viewBox", `0 0 ${width} ${CHART}`);
  Object.assign(to.style, { width: `${width}px`, height: `${CHART}px` });
  to.replaceChildren(svg("line", { class: "ground", x1: 0, x2: width, y1: y(Math.max(low, 0)), y2: y(Math.max(low, 0)) }));
  if (reference !== null) to.append(svg("line", { class: "even", x1: 0, x2: width, y1: y(reference), y2: y(reference) }));
  for (const { values, name } of lines) {
    let path = "", pen = false, dots = "";
    values.forEach((value, at) => {
      if (value === null) { pen = false; return; }
      path += `${pen ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      dots += `M${x(at).toFixed(1)} ${y(value).toFixed(1)}h0`;
      pen = true;
    });
    to.append(svg("path", { class: `line ${name}`, d: path || "M0 0" }), svg("path", { class: `dots ${name}`, d: dots || "M0 0" }));
  }
}
