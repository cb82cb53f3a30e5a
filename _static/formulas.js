// Formulas are set a few at a time, from the top, so that the page answers its reader meanwhile.
addEventListener("load", async () => {
  if (!window.MathJax?.startup?.promise) return; // a page without formulas
  await MathJax.startup.promise;
  const formulas = [...document.querySelectorAll("span.math, div.math")];
  while (formulas.length) {
    await MathJax.typesetPromise(formulas.splice(0, 5));
    await new Promise((next) => setTimeout(next));
  }
});

// Paper does not scroll: there, a formula that is too wide is set as small as it must be (book.css).
const TEXT_ON_PAPER = 580; // pixels: A4 without a browser's margins, the page's own, and a box around the formula
addEventListener("beforeprint", () => {
  for (const formula of document.querySelectorAll("div.math mjx-container")) {
    const em = parseFloat(getComputedStyle(formula).fontSize);
    const width = formula.querySelector("mjx-math").getBoundingClientRect().width / em;
    formula.style.setProperty("--fits-paper", `${TEXT_ON_PAPER / width}px`);
  }
});
