"use strict";
(() => {
  const findings = [...document.querySelectorAll("details.finding")];
  const bar = document.querySelector(".filter");
  const shown = new Set(findings.map((one) => one.dataset.verdict));
  bar.hidden = findings.length < 2;

  bar.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const verdict = button.dataset.show;
    if (verdict) {
      const off = shown.delete(verdict);
      if (!off) shown.add(verdict);
      button.setAttribute("aria-pressed", String(!off));
      for (const one of findings) one.hidden = !shown.has(one.dataset.verdict);
    } else {
      const open = findings.some((one) => !one.open);
      for (const one of findings) one.open = open;
      button.textContent = open ? "Fold all" : "Unfold all";
    }
  });

  // On paper nothing can be unfolded.
  const folded = new Set();
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open]):not(.mend)")) {
      folded.add(one);
      one.open = true;
    }
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
    folded.clear();
  });
})();
