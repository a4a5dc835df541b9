const weights = JSON.parse(document.getElementById("weights").textContent);
const words = [...document.querySelectorAll(".word")];
// Large boxes lie below small ones on the page, so that each can be pointed at; here they have the order of the weights.
const regions = [...document.querySelectorAll(".region")].sort((a, b) => a.dataset.region - b.dataset.region);
let kept = null;

// How far a share is above an even one: 0 at even, 1 at four times as much. Shares that are near even stay pale.
function above(share) {
  return Math.min(1, Math.max(0, (share * regions.length - 1) / 3));
}

function clear() {
  regions.forEach((region) => { region.style.fillOpacity = 0; region.classList.remove("on"); region.setAttribute("aria-pressed", "false"); });
  words.forEach((word) => { word.classList.remove("l1", "l2", "l3", "l4"); word.setAttribute("aria-pressed", "false"); });
}
function showWord(place) {
  clear();
  words[place].setAttribute("aria-pressed", "true");
  const most = Math.max(...weights[place], 1e-9);
  regions.forEach((region, i) => {
    region.style.fillOpacity = 0.7 * above(weights[place][i]);
    region.classList.toggle("on", weights[place][i] === most);
  });
}
function showRegion(i) {
  clear();
  regions[i].classList.add("on");
  regions[i].setAttribute("aria-pressed", "true");
  words.forEach((word, place) => {
    const level = Math.ceil(4 * above(weights[place][i]) - 0.25);
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
  element.addEventListener("blur", () => show(kept));
  element.addEventListener("click", () => { kept = choice; show(kept); });
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); kept = choice; show(kept); }
  });
}
words.forEach((word, place) => wire(word, { word: place }));
regions.forEach((region, i) => wire(region, { region: i }));
const heaviest = weights.map((row) => Math.max(...row));
kept = words.length ? { word: heaviest.indexOf(Math.max(...heaviest)) } : null;
show(kept);
