// The table of jobs: newest first, with filters; what happens changes rows where they stand.

import { about } from "./about.js";
import { url } from "./api.js";
import { bar, showMissing } from "./bars.js";
import { follow, h, row, say, text } from "./dom.js";
import { between, count, host, NONE, relative, span } from "./format.js";
import { link } from "./link.js";
import { listen } from "./live.js";
import { ago, badge, isFinal, jobLink, setAgo, setBadge, STATES, table } from "./parts.js";
import { search } from "./search.js";

const AGAIN_MS = 3000;

export function jobs({ place, query, leaving }) {
  const body = h("tbody");
  const news = h("button", { type: "button", class: "news", hidden: true });
  const note = h("p", { class: "none", role: "status" });
  const older = h("button", { type: "button" }, "Older");
  const newest = h("a", { class: "button", href: link_({ ...query, cursor: null }), hidden: !query.cursor }, "Newest");
  const list = table("Jobs, newest first", [
    "State", "Job", "Handler", ["Attempt", "num opt"], "Submitted", ["Ran", "num opt"], ["Worker", "opt"], ["Note", "opt"],
  ], body, { class: "jobs" });
  place.append(
    h("div", { class: "title" }, h("h1", null, "Jobs"), news),
    filters(query),
    h("div", { class: "panel flush" }, list, note),
    h("div", { class: "pager" }, newest, older),
  );

  let shown = [];
  let known = new Map();
  let fresh = new Set();
  let aborter = null; // of the list that is on its way
  let meanwhile = []; // told since it was asked for: it may be older than they are
  let incomplete = false;
  let silent = false; // nothing is told live

  const draw = () => {
    known = new Map(shown.map((job) => [job.id, job]));
    follow(body, shown, (job) => job.id, makeRow);
    list.hidden = shown.length === 0;
  };
  const load = async (cursor = query.cursor ?? null) => {
    aborter?.abort();
    aborter = new AbortController();
    const mine = aborter;
    place.setAttribute("aria-busy", "true");
    if (!shown.length) text(note, "Looking…");
    try {
      const told = await search({ ...query, cursor }, mine.signal, () => text(note, "Looking further…"));
      if (mine.signal.aborted) return;
      shown = told.jobs;
      fresh = new Set();
      draw();
      showMissing("list", told.missing);
      incomplete = told.missing.length > 0;
      text(note, told.more ? "There are many more jobs to look through." : shown.length ? "" : "No job matches.");
      older.hidden = told.next === null;
      older.textContent = told.more ? "Look further" : "Older";
      older.onclick = () => { location.hash = link_({ ...query, cursor: told.next }); };
    } catch (error) {
      if (mine.signal.aborted) return;
      text(note, `The list can't be had now: ${error.message}.`);
      incomplete = true;
    } finally {
      if (!mine.signal.aborted) arrived();
    }
  };
  const arrived = () => {
    aborter = null;
    place.removeAttribute("aria-busy");
    const events = meanwhile;
    meanwhile = [];
    told(events);
  };
  const showNews = () => {
    const words = fresh.size === 0 ? "" : `${count(fresh.size)} new`;
    if (news.textContent === words) return;
    if (news.hidden && fresh.size) say("There are new jobs: the button shows them");
    news.hidden = fresh.size === 0;
    news.textContent = words;
  };
  news.addEventListener("click", () => {
    load();
    document.getElementById("main").focus({ preventScroll: true });
  });

  const told = (events) => {
    if (aborter) {
      meanwhile.push(...events);
      return;
    }
    let changed = false;
    for (const event of events) {
      const job = known.get(event.id);
      if (job) {
        if (isFinal(job.status) && !isFinal(event.status)) continue; // the list was ahead
        Object.assign(job, event);
        changed = true;
      } else if (!query.cursor && matches(event, query) && isNewer(event, shown[0], query)) {
        fresh.add(event.id);
      } else if (query.status && event.status !== query.status) {
        fresh.delete(event.id); // it has gone on before anybody looked
      }
    }
    if (changed) draw();
    if (fresh.size && !shown.length && !incomplete) load();
    else showNews();
  };
  leaving(listen({ handler: query.handler }, told, (trouble) => {
    bar("live", trouble === null ? null : [h("p", null, trouble)]);
    silent = trouble !== null;
  }, () => load()));
  const back = () => load();
  link.addEventListener("back", back);
  leaving(() => {
    link.removeEventListener("back", back);
    aborter?.abort();
  });
  const running = setInterval(() => {
    for (const child of body.children) child.tick();
  }, 1000);
  // A worker that has begun anew recovers first: what it has is shown when it can tell.
  const completing = setInterval(() => {
    if ((incomplete || silent) && !aborter && !link.lost && !document.hidden) load();
  }, AGAIN_MS);
  leaving(() => {
    clearInterval(running);
    clearInterval(completing);
  });
  load();
  return "Jobs";
}

const link_ = ({ status, handler, error, cursor }) => url("#/jobs", { status, handler, error, cursor });

function matches(event, { status, error }) {
  return (!status || event.status === status) && (!error || (event.error ?? "").toLowerCase().includes(error.toLowerCase()));
}

/** With a filter, whatever comes to match it is new; without, only what was submitted since. */
function isNewer(event, first, { status, error }) {
  if (status || error || !first) return true;
  return Date.parse(event.submitted_at) >= Date.parse(first.submitted_at);
}

function filters(query) {
  const chip = (status) => h("a", {
    href: link_({ ...query, status, cursor: null }), class: "chip", "aria-current": (query.status ?? null) === status ? "true" : null,
  }, status ?? "all");
  const names = h("datalist", { id: "handlers" });
  about().then(({ handlers }) => names.append(...handlers.map(({ name }) => h("option", { value: name }))));
  const form = h("form", { class: "filters", "aria-label": "Filters" },
    h("div", { class: "chips", role: "group", "aria-label": "State" }, [null, ...STATES].map(chip)),
    h("input", { name: "handler", type: "search", list: "handlers", value: query.handler, placeholder: "Handler", "aria-label": "Handler", autocomplete: "off", spellcheck: "false" }),
    h("input", { name: "error", type: "search", value: query.error, placeholder: "Error contains", "aria-label": "Error contains", autocomplete: "off" }),
    h("button", { type: "submit" }, "Filter"), names);
  const go = () => {
    const { handler, error } = form.elements;
    location.hash = link_({ ...query, handler: handler.value.trim(), error: error.value.trim(), cursor: null });
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go();
  });
  form.addEventListener("search", go); // the cross in the field
  return form;
}

function makeRow(job) {
  const cells = {
    state: h("td", null, badge(job.status)), id: h("td", null, jobLink(job.id)), handler: h("td", { class: "cut name" }),
    attempt: h("td", { class: "num opt" }), submitted: h("td", null, ago(job.submitted_at)), ran: h("td", { class: "num opt" }),
    worker: h("td", { class: "mono opt cut" }), error: h("td", { class: "error cut opt" }),
  };
  let now = job;
  const ran = () => {
    const end = isFinal(now.status) ? now.finished_at : now.status === "executing" ? new Date().toISOString() : null;
    text(cells.ran, span(between(now.started_at, end)));
  };
  const note = () => {
    const next = now.status === "waiting" && now.next_attempt_at ? `next attempt ${relative(now.next_attempt_at)}` : "";
    text(cells.error, [next, now.error].filter(Boolean).join(" · "));
    cells.error.title = now.error ?? "";
    cells.error.classList.toggle("soft", now.status !== "failed");
  };
  const element = row(Object.values(cells), (given) => {
    now = given;
    setBadge(cells.state.firstChild, now.status);
    text(cells.handler, now.handler ?? NONE);
    text(cells.attempt, now.attempt ? `${now.attempt}/${now.max_attempts}` : NONE);
    setAgo(cells.submitted.firstChild, now.submitted_at);
    ran();
    text(cells.worker, now.worker ? host(now.worker) : NONE);
    note();
  });
  element.tick = () => {
    if (now.status === "executing") ran();
    if (now.next_attempt_at) note();
  };
  element.update(job);
  return element;
}
