"use strict";
/* The page around the timelines: filter, outcome chips, folding, theme, keys. */
(function () {
  const $ = (id) => document.getElementById(id);
  const scenarios = Array.from(document.querySelectorAll(".scenario"));
  const chips = Array.from(document.querySelectorAll(".chip"));
  const filter = $("filter");

  function drawIn(root) {
    for (const box of root.querySelectorAll(".timeline")) {
      const folded = box.closest("details:not([open])");
      if (!folded) { window.virtsimTimeline(box); }
    }
  }

  function apply() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const off = new Set(chips.filter((chip) => chip.getAttribute("aria-pressed") === "false").map((chip) => chip.dataset.outcome));
    let shown = 0;
    for (const scenario of scenarios) {
      const match = !off.has(scenario.dataset.outcome) && words.every((word) => scenario.dataset.filter.includes(word));
      scenario.hidden = !match;
      shown += match ? 1 : 0;
    }
    const all = shown === scenarios.length;
    $("shown").textContent = all ? "" : shown + " of " + scenarios.length + " scenarios shown";
    $("nothing").hidden = shown > 0 || scenarios.length === 0;
  }

  function clear() {
    filter.value = "";
    for (const chip of chips) { chip.setAttribute("aria-pressed", "true"); }
    apply();
  }

  function fold(open) {
    for (const scenario of scenarios) {
      if (!scenario.hidden && scenario.tagName === "DETAILS") { scenario.open = open; }
    }
  }

  function remembered(value) {
    try { /* storage is refused to some pages opened from a file */
      if (value) { localStorage.setItem("virtsim-theme", value); }
      return localStorage.getItem("virtsim-theme");
    } catch (refused) { return null; }
  }

  function dark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function toggleTheme() {
    const next = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    remembered(next);
  }

  function go(step, wanted) {
    const list = scenarios.filter((item) => !item.hidden && item.tagName === "DETAILS" && (!wanted || item.dataset.outcome !== "passed"));
    if (!list.length) { return; }
    const here = list.indexOf(document.activeElement && document.activeElement.closest(".scenario"));
    const next = list[here < 0 ? (step > 0 ? 0 : list.length - 1) : (here + step + list.length) % list.length];
    next.querySelector("summary").focus({ preventScroll: true });
    next.scrollIntoView({ block: "start" });
  }

  const KEYS = {
    "/": () => { filter.focus(); filter.select(); },
    "n": () => go(1, false), "p": () => go(-1, false), "f": () => go(1, true),
    "e": () => fold(true), "c": () => fold(false), "d": toggleTheme, "?": () => $("keys").showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) { return; }
    if (event.key === "Escape" && !$("keys").open) { clear(); filter.blur(); return; }
    if (event.target.closest("input, dialog")) { return; }
    const act = KEYS[event.key];
    if (act) { event.preventDefault(); act(); }
  });

  const theme = remembered();
  if (theme === "dark" || theme === "light") { document.documentElement.dataset.theme = theme; }
  filter.addEventListener("input", apply);
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") === "true" ? "false" : "true");
      apply();
    });
  }
  $("theme").addEventListener("click", toggleTheme);
  $("help").addEventListener("click", () => $("keys").showModal());
  $("expand").addEventListener("click", () => fold(true));
  $("collapse").addEventListener("click", () => fold(false));
  $("clear").addEventListener("click", clear);
  document.addEventListener("click", (event) => {
    const copy = event.target.closest && event.target.closest(".copy");
    if (!copy || !navigator.clipboard) { return; }
    navigator.clipboard.writeText(copy.parentElement.querySelector("code").textContent).then(
      () => { copy.textContent = "Copied"; }, () => { copy.textContent = "Select it by hand"; });
  });
  /* toggle does not bubble: capture it for all folds at once */
  document.addEventListener("toggle", (event) => { if (event.target.open) { drawIn(event.target); } }, true);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) { width = window.innerWidth; drawIn(document); }
  });
  window.addEventListener("beforeprint", () => drawIn(document));
  if (location.hash) {
    const target = document.getElementById(location.hash.slice(1));
    if (target && target.classList.contains("scenario")) { target.open = true; }
  }
  drawIn(document);
  apply();
})();
