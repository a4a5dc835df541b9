// The chart behind the slider: one line per visible panel, one number per layer. Knows no canvas.

const SVG = "http://www.w3.org/2000/svg";
const THUMB = 16;

/** A new SVG element with attributes. */
function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** The number that the chart shows for a map, in 0..1, or null where there is none. */
function measured(panel, map, measure) {
  if (!map || map.status === "nan" || map.status === "zero") return null;
  if (measure === "concentration") return map.concentration;
  const reach = (other) => Math.max(Math.abs(other.own[0]), Math.abs(other.own[1]));
  return reach(map) / Math.max(...panel.maps.map(reach));
}

/** Draw the lines; `shown` holds panels in their order with their numbers. */
function drawChart(chart, { photo, shown, measure, layer }) {
  const width = chart.clientWidth || 300, height = chart.clientHeight || 56, last = Math.max(1, photo.layers.length - 1);
  const top = highest(shown, measure);
  const x = (at) => THUMB / 2 + (at / last) * (width - THUMB);
  const y = (value) => height - 5 - (value / top) * (height - 20);
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  chart.replaceChildren();
  ticks(chart, photo.layers.length, x, height);
  const label = svg("text", { class: "top-value", x: 4, y: 11 });
  label.textContent = `${Math.round(100 * top)} %`;
  chart.append(label);
  if (measure === "concentration") chart.append(svg("line", { class: "even", x1: 0, x2: width, y1: y(0.1), y2: y(0.1) }));
  for (const { panel, number } of shown) line(chart, { panel, number, measure, layer, x, y });
}

/** The top of the chart: the largest number shown, and not less than 30 %. */
function highest(shown, measure) {
  const numbers = shown.flatMap(({ panel }) => panel.maps.map((map) => measured(panel, map, measure) || 0));
  return Math.max(0.3, ...numbers);
}

/** A short mark for every layer. */
function ticks(chart, count, x, height) {
  for (let at = 0; at < count; at++) {
    chart.append(svg("line", { class: "tick", x1: x(at), x2: x(at), y1: height - 3, y2: height }));
  }
}

/** One panel's line, its gaps, its dot at the layer shown, and crosses where a map says nothing. */
function line(chart, { panel, number, measure, layer, x, y }) {
  const still = panel.maps.length === 1;
  const points = panel.at.map((place, at) => ({ at, map: place === null ? null : panel.maps[place] }));
  let path = "", pen = false;
  for (const { at, map } of points) {
    if (!map) continue;
    const value = measured(panel, map, measure);
    if (value === null) { pen = false; cross(chart, x(at), y(0), number); continue; }
    path += `${pen ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = true;
    if (map.status === "flat") cross(chart, x(at), y(value), number);
    if (at === layer || !pen) chart.append(svg("circle", { class: `dot c${number}`, cx: x(at), cy: y(value), r: 3.5 }));
  }
  chart.prepend(svg("path", { class: `line c${number}${still ? " still" : ""}`, d: path || "M0 0" }));
}

function cross(chart, x, y, number) {
  chart.append(svg("path", { class: `cross c${number}`, d: `M${x - 3} ${y - 3}l6 6m-6 0l6 -6` }));
}
