// The theme button: light or dark, as the system has it until somebody chooses.
function switchTheme() {
  const root = document.documentElement.dataset;
  const dark = root.theme ? root.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.theme = dark ? "light" : "dark";
  document.dispatchEvent(new Event("theme"));
}
document.getElementById("theme").addEventListener("click", switchTheme);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input:not([type=range]), select, textarea")) return;
  if (event.key === "t" || event.key === "T") switchTheme();
});
