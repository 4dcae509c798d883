"use strict";
// Formulas are drawn when their part of the page is unfolded: thousands at once would keep the reader waiting.
function draw(part) {
  for (const formula of part.querySelectorAll(".tex:not(.drawn)")) {
    const source = formula.textContent, cut = Number(formula.dataset.cut);
    const options = {
      displayMode: formula.classList.contains("display"), strict: "ignore", trust: false, maxSize: 20, maxExpand: 1000,
    };
    formula.classList.add("drawn");
    try {
      katex.render(source.slice(cut, source.length - cut), formula, options);
    } catch (error) {
      formula.textContent = source;
      formula.classList.add("undrawn");
      formula.title = error.message;
    }
  }
}
for (const part of document.querySelectorAll("details")) {
  part.addEventListener("toggle", () => { if (part.open) draw(part); });
  if (part.open) draw(part);
}
