// The frame: which page is shown, the theme, the search, what is wrong.

import { about } from "./about.js";
import { bar, showMissing, watchLink } from "./bars.js";
import { h, say } from "./dom.js";
import { dead } from "./dead.js";
import { job } from "./job.js";
import { jobs } from "./jobs.js";
import { overview } from "./overview.js";
import { onStats, stats } from "./stats.js";
import { submitDialog } from "./submit.js";

const PAGES = { overview, jobs, job, dead };
const main = document.getElementById("main");
let leave = () => {};
let shown = null;

/** #/job/3-1042?x=y → ["job", "3-1042", {x: "y"}] */
function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  return [name || "overview", decoded(rest.join("/")), Object.fromEntries(new URLSearchParams(query ?? ""))];
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function show() {
  const [name, argument, query] = route();
  const page = PAGES[name];
  leave();
  leave = () => {};
  showMissing("list", []);
  bar("live", null);
  for (const anchor of document.querySelectorAll("nav a[data-page]")) {
    const here = anchor.dataset.page === name || (name === "job" && anchor.dataset.page === "jobs");
    if (here) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  const place = h("div", { class: `page ${name}` });
  main.replaceChildren(place);
  if (!page) {
    place.append(h("h1", null, "Nothing is here"), h("p", null, h("a", { href: "#/" }, "To the overview")));
    return;
  }
  const title = page({ place, argument, query, leaving: (end) => {
    const before = leave;
    leave = () => { before(); end(); };
  } });
  document.title = `${title} – Jobs`;
  // Who came by a link hears where they are; who only changed a filter stays where they were.
  if (shown !== null && shown !== `${name}/${argument}`) {
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
    say(title);
  }
  shown = `${name}/${argument}`;
}

function theme() {
  const button = document.getElementById("theme");
  const names = { auto: "Auto", light: "Light", dark: "Dark" };
  const next = { auto: "light", light: "dark", dark: "auto" };
  const chosen = () => document.documentElement.dataset.theme ?? "auto";
  const name = () => {
    button.textContent = names[chosen()];
    button.setAttribute("aria-label", `Theme: ${names[chosen()]}. Change it`);
  };
  button.addEventListener("click", () => {
    const wanted = next[chosen()];
    if (wanted === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = wanted;
    try {
      localStorage.setItem("jobs-theme", wanted);
    } catch { /* not kept, then */ }
    name();
  });
  name();
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part behind # is the page
  main.focus();
});
document.getElementById("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = event.target.elements.id.value.trim();
  if (id) location.hash = `#/job/${encodeURIComponent(id)}`;
});
document.getElementById("submit").addEventListener("click", () => submitDialog());
about().then(({ login }) => { document.getElementById("logout").hidden = !login; });
theme();
watchLink();
onStats((told) => showMissing("stats", told.missing));
window.addEventListener("hashchange", show);
stats.start();
show();
