// The theme lets the keyboard reach whatever scrolls, but looks only when the window changes its size:
// what unfolds or stands in a tab that was hidden has to be looked at again.
(() => {
  const lookAgain = () => {
    for (const area of document.querySelectorAll("pre, .cell_output > .output")) {
      area.tabIndex = area.scrollWidth > area.clientWidth || area.scrollHeight > area.clientHeight ? 0 : -1;
    }
  };
  document.addEventListener("toggle", lookAgain, true);
  document.addEventListener("change", lookAgain);
  document.addEventListener("click", (event) => {
    if (event.target.closest?.(".toggle-button")) lookAgain();
  });
})();
