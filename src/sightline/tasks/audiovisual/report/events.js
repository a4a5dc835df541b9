// One time for picture, sound, spectrogram, curve and slider; everything drawn follows from it.
const data = JSON.parse(document.getElementById("data").textContent);
const clip = document.getElementById("clip");
const plays = clip instanceof HTMLMediaElement;
const slider = document.getElementById("time");
const [frames, rows, columns] = data.grid;
const whole = data.segments * data.seconds;
let now = 0;

function numbers(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}
const table = Uint8Array.from(atob(data.drawing.table), (letter) => letter.charCodeAt(0));
const maps = data.classes.map((one) => numbers(one.where));
const movement = numbers(data.motion);
const flows = data.flows.map(numbers);

function chosen(name) { return document.querySelector(`input[name=${name}]:checked`)?.value ?? ""; }
function currentMap() {
  const kind = chosen("map");
  if (kind === "attention" || kind === "pair") return maps[Number(chosen("class"))];
  if (kind === "flow") return flows[Number(chosen("class"))];
  return kind === "motion" ? movement : null;
}
function segmentAt(time) { return Math.max(0, Math.min(data.segments - 1, Math.floor(time / data.seconds + 1e-9))); }

// Share of a cell against an even map, as a row of the colour table: the same rule as in every picture of Sightline.
function rowOf(density) {
  const reach = data.drawing.reach;
  return Math.floor(128 + 127 * Math.sqrt(Math.min(Math.max(0, density), reach) / reach) + 0.5);
}

const small = document.createElement("canvas");
small.width = columns; small.height = rows;
function paint(pen, map) {
  const at = segmentAt(now) * rows * columns, even = 1 / (frames * rows * columns);
  const paper = small.getContext("2d"), image = paper.createImageData(columns, rows);
  for (let cell = 0; cell < rows * columns; cell += 1) {
    const row = 4 * rowOf(map[at + cell] / even);
    image.data.set(table.subarray(row, row + 4), 4 * cell);
  }
  paper.putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = true; pen.imageSmoothingQuality = "high";
  pen.drawImage(small, 0, 0, pen.canvas.width, pen.canvas.height);
}

// The picture that is shown once more, with the map of the method over it.
function drawBeside(wide, high, scale) {
  const canvas = document.getElementById("beside");
  canvas.style.width = `${wide}px`; canvas.style.height = `${high}px`;
  canvas.width = Math.round(wide * scale); canvas.height = Math.round(high * scale);
  const pen = canvas.getContext("2d");
  if (clip.readyState >= 2) pen.drawImage(clip, 0, 0, canvas.width, canvas.height);
  paint(pen, flows[Number(chosen("class"))]);
}

function drawWhere() {
  const canvas = document.getElementById("where"), beside = document.getElementById("beside");
  const pair = beside !== null && chosen("map") === "pair";
  canvas.parentElement.classList.toggle("pair", pair);
  if (beside) { beside.hidden = !pair; document.getElementById("pair-names").hidden = !pair; }
  if (!(clip instanceof HTMLVideoElement) || !clip.clientWidth) { canvas.hidden = true; return; }
  const ratio = clip.videoWidth ? clip.videoWidth / clip.videoHeight : columns / rows;
  const wide = Math.min(clip.clientWidth, clip.clientHeight * ratio), high = wide / ratio;
  const scale = window.devicePixelRatio || 1;
  canvas.style.width = `${wide}px`; canvas.style.height = `${high}px`;
  canvas.style.left = `${clip.offsetLeft + (clip.clientWidth - wide) / 2}px`;
  canvas.style.top = `${clip.offsetTop + (clip.clientHeight - high) / 2}px`;
  canvas.width = Math.round(wide * scale); canvas.height = Math.round(high * scale);
  const map = currentMap();
  if (map) paint(canvas.getContext("2d"), map);
  if (pair) drawBeside(wide, high, scale);
}

function drawWhen() {
  const canvas = document.getElementById("when"), style = getComputedStyle(document.documentElement);
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * scale); canvas.height = Math.round(canvas.clientHeight * scale);
  const pen = canvas.getContext("2d"), step = canvas.width / data.segments;
  const curve = data.classes.length ? data.classes[Number(chosen("class"))].when : [];
  const top = Math.max(2 / data.segments, ...curve);
  pen.fillStyle = style.getPropertyValue("--c1");
  curve.forEach((value, place) => {
    const high = value / top * (canvas.height - 4 * scale);
    pen.fillRect(place * step + 0.5, canvas.height - high, Math.max(1, step - 1), high);
  });
  if (curve.length) {
    pen.strokeStyle = style.getPropertyValue("--faded"); pen.setLineDash([4 * scale, 4 * scale]);
    const level = canvas.height - (1 / data.segments) / top * (canvas.height - 4 * scale);
    pen.beginPath(); pen.moveTo(0, level); pen.lineTo(canvas.width, level); pen.stroke(); pen.setLineDash([]);
  }
  pen.strokeStyle = style.getPropertyValue("--c2"); pen.lineWidth = 2 * scale; pen.beginPath();
  data.levels.forEach((level, place) => {
    const y = canvas.height * (level / data.quietest) * 0.96 + 2 * scale;
    pen.lineTo((place + 0.5) * step, Math.min(canvas.height - scale, y));
  });
  pen.stroke();
}

function say() {
  const segment = segmentAt(now), frame = data.frames[segment];
  const picture = frame === undefined ? "no picture" : `picture ${frame}, shown from ${data.times[segment].toFixed(3)} s`;
  document.getElementById("now").textContent = `${now.toFixed(2)} s: segment ${segment} of ${data.segments}, ${picture}`;
  if (!data.classes.length) return;
  const one = data.classes[Number(chosen("class"))], map = maps[Number(chosen("class"))];
  let share = 0;
  for (let cell = 0; cell < rows * columns; cell += 1) share += map[segment * rows * columns + cell];
  const peak = one.when.indexOf(Math.max(...one.when));
  document.getElementById("reading").textContent =
    `This picture has ${(100 * share).toFixed(1)} % of the where-map, this segment ${(100 * one.when[segment]).toFixed(1)} % `
    + `of the when-curve (even: ${(100 / data.segments).toFixed(1)} %). The curve peaks at ${(peak * data.seconds).toFixed(1)} to `
    + `${((peak + 1) * data.seconds).toFixed(1)} s.`;
}

function show() {
  document.getElementById("cursor").style.left = `${Math.min(1, now / whole) * 100}%`;
  slider.value = String(now);
  drawWhere(); say();
}
function goTo(time, fromClip) {
  now = Math.max(0, Math.min(whole, time));
  if (plays && !fromClip) clip.currentTime = Math.min(now, (clip.duration || whole));
  show();
}
function follow() { if (plays && !clip.paused) { goTo(clip.currentTime, true); requestAnimationFrame(follow); } }

slider.max = String(whole);
slider.addEventListener("input", () => goTo(Number(slider.value), false));
const tracks = document.getElementById("tracks");
function drag(event) {
  const box = tracks.getBoundingClientRect();
  goTo((event.clientX - box.left) / box.width * whole, false);
}
tracks.addEventListener("pointerdown", (event) => { tracks.setPointerCapture(event.pointerId); drag(event); });
tracks.addEventListener("pointermove", (event) => { if (tracks.hasPointerCapture(event.pointerId)) drag(event); });
const button = document.getElementById("play");
function toggle() { if (clip.paused) { if (now >= whole - 0.02) clip.currentTime = 0; clip.play(); } else clip.pause(); }
if (plays) {
  button.addEventListener("click", toggle);
  if (clip instanceof HTMLVideoElement) clip.addEventListener("click", toggle);
  for (const name of ["play", "pause"]) clip.addEventListener(name, () => {
    button.textContent = clip.paused ? "▶ Play" : "❚❚ Pause"; button.setAttribute("aria-label", clip.paused ? "Play" : "Pause");
  });
  document.getElementById("volume")?.addEventListener("input", (event) => { clip.volume = Number(event.target.value); });
  clip.addEventListener("play", follow);
  for (const name of ["timeupdate", "seeked", "pause"]) clip.addEventListener(name, () => goTo(clip.currentTime, true));
  for (const name of ["loadedmetadata", "loadeddata"]) clip.addEventListener(name, show);
}
for (const input of document.querySelectorAll("input[type=radio]")) input.addEventListener("change", () => { drawWhen(); show(); });
addEventListener("resize", () => { drawWhen(); show(); });
document.addEventListener("theme", () => { drawWhen(); show(); });
drawWhen();
show();
