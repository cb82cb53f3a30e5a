// The edition that a reader chose is opened again next time, on the same page; tabs follow it.
(() => {
  const TABS = "sphinx-design-tab-id-backend"; // where sphinx-design keeps the tab that was chosen last
  const current = document.documentElement.dataset.edition;
  let chosen = null;
  try {
    chosen = localStorage.getItem("edition");
    if (!localStorage.getItem(TABS)) localStorage.setItem(TABS, current);
  } catch {
    return; // a browser that keeps nothing: every page shows its own edition
  }
  document.addEventListener("DOMContentLoaded", () => {
    for (const link of document.querySelectorAll("a[data-edition]")) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        localStorage.setItem("edition", link.dataset.edition);
        localStorage.setItem(TABS, link.dataset.edition);
        location.assign(link.href + location.search + location.hash);
      });
    }
    const other = document.querySelector(`.edition-switch a[data-edition="${chosen}"]`);
    if (other && chosen !== current) location.replace(other.href + location.search + location.hash);
  });
})();
