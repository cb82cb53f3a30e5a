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
