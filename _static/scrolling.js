// The theme lets the keyboard reach whatever scrolls, but looks only when the window changes its size:
// what unfolds or stands in a tab that was hidden has to be looked at again.
(() => {
  const lookAgain = () => dispatchEvent(new Event("resize"));
  document.addEventListener("toggle", lookAgain, true);
  document.addEventListener("change", lookAgain);
  document.addEventListener("click", (event) => {
    if (event.target.closest?.(".toggle-button")) lookAgain();
  });
})();
