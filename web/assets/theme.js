// Before the first paint, so that nobody sees the other theme flash by.
"use strict";
{
  let chosen = null;
  try {
    chosen = localStorage.getItem("jobs-theme");
  } catch { /* storage is switched off: the system's theme it is */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
