const weights = JSON.parse(document.getElementById("weights").textContent);
const words = [...document.querySelectorAll(".word")];
const regions = [...document.querySelectorAll(".region")];
let kept = null;

function clear() {
  regions.forEach((region) => { region.style.fillOpacity = 0; region.classList.remove("on"); });
  words.forEach((word) => { word.classList.remove("l1", "l2", "l3", "l4"); word.setAttribute("aria-pressed", "false"); });
}
function showWord(place) {
  clear();
  words[place].setAttribute("aria-pressed", "true");
  const most = Math.max(...weights[place], 1e-9);
  regions.forEach((region, i) => {
    region.style.fillOpacity = 0.7 * weights[place][i] / most;
    region.classList.toggle("on", weights[place][i] === most);
  });
}
function showRegion(i) {
  clear();
  regions[i].classList.add("on");
  const most = Math.max(...weights.map((row) => row[i]), 1e-9);
  words.forEach((word, place) => {
    const level = Math.round(4 * weights[place][i] / most);
    if (level) word.classList.add("l" + level);
  });
}
function show(choice) {
  if (!choice) { clear(); return; }
  if (choice.word !== undefined) showWord(choice.word); else showRegion(choice.region);
}
function wire(element, choice) {
  element.addEventListener("pointerenter", () => show(choice));
  element.addEventListener("pointerleave", () => show(kept));
  element.addEventListener("focus", () => show(choice));
  element.addEventListener("click", () => { kept = choice; show(kept); });
}
words.forEach((word, place) => wire(word, { word: place }));
regions.forEach((region, i) => wire(region, { region: i }));
const heaviest = weights.map((row) => Math.max(...row));
kept = words.length ? { word: heaviest.indexOf(Math.max(...heaviest)) } : null;
show(kept);
