"use strict";
// In the head, so that the page is never seen in the other colours.
(() => {
  const root = document.documentElement;
  const KEY = "cpd-report-theme";
  const THEMES = ["light", "dark"];

  // A browser may refuse to keep anything for a page of this origin: the choice then lasts as long as the page.
  function kept() {
    try { return localStorage.getItem(KEY); } catch { return null; }
  }
  function keep(choice) {
    try { choice ? localStorage.setItem(KEY, choice) : localStorage.removeItem(KEY); } catch { /* see above */ }
  }
  function wear(choice) {
    if (THEMES.includes(choice)) root.dataset.theme = choice;
    else delete root.dataset.theme;
    document.dispatchEvent(new Event("themechange"));
  }

  wear(kept());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("themechange")));
  addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.closest("label").hidden = false;
    select.value = root.dataset.theme ?? "";
    select.addEventListener("change", () => { keep(select.value); wear(select.value); });
    // A page that is open beside this one goes along.
    addEventListener("storage", ({ key }) => { if (key === KEY) { wear(kept()); select.value = root.dataset.theme ?? ""; } });
  });

  // Paper is light. What is folded is opened for it.
  let before;
  const folded = [];
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    for (const details of document.querySelectorAll("details:not([open])")) { folded.push(details); details.open = true; }
  });
  addEventListener("afterprint", () => {
    if (before === undefined) delete root.dataset.theme;
    else root.dataset.theme = before;
    for (const details of folded.splice(0)) details.open = false;
  });
})();
