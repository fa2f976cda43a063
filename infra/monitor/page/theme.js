// Light or dark: as the system has it, unless somebody chose. Runs before anything is painted.
(() => {
  const names = ["auto", "light", "dark"];
  const said = { auto: "as the system", light: "light", dark: "dark" };
  const signs = { auto: "◐", light: "☀", dark: "☾" };
  let chosen = localStorage.getItem("riverrun.theme");
  if (!names.includes(chosen)) chosen = "auto";

  function show() {
    document.documentElement.dataset.theme = chosen;
    const button = document.getElementById("theme");
    if (button) {
      button.textContent = signs[chosen];
      button.setAttribute("aria-label", `Colours: ${said[chosen]}`);
      button.title = `Colours: ${said[chosen]}`;
    }
    document.dispatchEvent(new Event("theme"));
  }

  show();
  document.addEventListener("DOMContentLoaded", () => {
    show();
    document.getElementById("theme").addEventListener("click", () => {
      chosen = names[(names.indexOf(chosen) + 1) % names.length];
      localStorage.setItem("riverrun.theme", chosen);
      show();
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
})();
