// The theme button: light or dark, as the system has it until somebody chooses.
function switchTheme() {
  const root = document.documentElement.dataset;
  const dark = root.theme ? root.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.theme = dark ? "light" : "dark";
  document.dispatchEvent(new Event("theme"));
}
document.getElementById("theme").addEventListener("click", switchTheme);
// what is drawn on a canvas is drawn anew when the system turns dark or light
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("theme")));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input:not([type=range]), select, textarea")) return;
  if (event.key === "t" || event.key === "T") switchTheme();
});
