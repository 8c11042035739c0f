// What is happening now.

import { get, url } from "./api.js";
import { bar } from "./bars.js";
import { chart, gauge } from "./charts.js";
import { follow, h, put, row, text } from "./dom.js";
import { count, host, NONE, ranges, rate, span } from "./format.js";
import { link } from "./link.js";
import { listen } from "./live.js";
import { ago, jobLink, panel, setAgo, STATES, table } from "./parts.js";
import { onStats } from "./stats.js";

const FAILURES = 9;
const AGAIN_MS = 3000;

export function overview({ place, leaving }) {
  const tiles = makeTiles();
  const charts = makeCharts();
  const workers = makeWorkers();
  const partitions = makePartitions();
  const failures = makeFailures(leaving);
  place.append(
    h("h1", { class: "unseen" }, "Overview"),
    tiles.element,
    h("div", { class: "pair" }, charts.elements),
    workers.element,
    h("div", { class: "pair" }, failures, partitions.element),
  );
  leaving(onStats((told) => {
    for (const each of [tiles, charts, workers, partitions]) each.show(told);
  }));
  return "Overview";
}

function makeTiles() {
  const numbers = {};
  const notes = {};
  const tile = (name, label, href) => {
    numbers[name] = h("span", { class: "number" }, NONE);
    notes[name] = h("span", { class: "note" }, "\u00a0");
    return h(href ? "a" : "div", { class: `tile ${name}`, href }, h("span", { class: "label" }, label), numbers[name], notes[name]);
  };
  const element = h("section", { class: "tiles", "aria-label": "Jobs by state" },
    STATES.map((state) => tile(state, state, `#/jobs?status=${state}`)),
    tile("lag", "not yet read"));
  return {
    element,
    show(told) {
      for (const state of STATES) text(numbers[state], count(told.jobs[state] ?? 0));
      text(numbers.lag, count(told.lag));
      const { step_s: step, points } = told.series;
      const recent = points.slice(-Math.round(60 / step));
      for (const state of ["done", "failed", "canceled"]) {
        const sum = recent.reduce((all, point) => all + point[state], 0);
        text(notes[state], `${count(sum)} in the last minute`);
      }
      const slots = told.workers.flatMap((each) => Object.values(each.slots));
      const used = slots.reduce((all, slot) => all + slot.used, 0);
      const of = slots.reduce((all, slot) => all + slot.of, 0);
      text(notes.executing, `${count(used)} of ${count(of)} slots`);
      text(notes.waiting, `${count(told.workers.reduce((all, each) => all + each.open, 0))} open at workers`);
      text(notes.lag, `records in ${told.partitions.length} partitions`);
    },
  };
}

function makeCharts() {
  const throughput = chart({
    label: "Finished jobs per second, the last ten minutes",
    stacked: true,
    format: (value) => rate(value),
    series: ["done", "failed", "canceled"].map((state) => ({ name: state, kind: state, value: (point) => point[state] / step })),
    summary: (points) => {
      const sum = (state) => points.reduce((all, point) => all + point[state], 0);
      return `${count(sum("done"))} done, ${count(sum("failed"))} failed, ${count(sum("canceled"))} canceled`;
    },
  });
  let step = 10;
  const latency = (label, key) => chart({
    label,
    format: span,
    series: ["p50", "p95", "p99"].map((name) => ({ name, kind: name, value: (point) => point[key]?.[name] ?? null })),
    summary: (points) => {
      const last = points.findLast((point) => point[key]);
      return last ? `Lately half of them under ${span(last[key].p50)}, 95 % under ${span(last[key].p95)}` : "No job in this time";
    },
  });
  const running = latency("How long attempts ran, the last ten minutes", "run_ms");
  const waiting = latency("How long attempts waited to start, the last ten minutes", "wait_ms");
  const picks = h("div", { class: "segments", role: "group", "aria-label": "Which time" });
  const holder = h("div", null, running.element);
  const pick = (name, one) => h("button", { type: "button", "aria-pressed": one === running ? "true" : "false", onclick: (event) => {
    for (const button of picks.children) button.setAttribute("aria-pressed", String(button === event.currentTarget));
    holder.replaceChildren(one.element);
  } }, name);
  picks.append(pick("Running", running), pick("Waiting", waiting));
  const right = panel("Time", holder);
  right.querySelector(".panel-head").append(picks);
  const left = panel("Throughput", throughput.element);
  left.querySelector(".panel-head").append(h("span", { class: "aside" }, "finished jobs per second"));
  return {
    elements: [left, right],
    show({ series }) {
      step = series.step_s;
      for (const each of [throughput, running, waiting]) each.show(series.points, series.step_s);
    },
  };
}

function makeWorkers() {
  const body = h("tbody");
  const make = () => {
    const cells = {
      name: h("td"), state: h("td"), partitions: h("td", { class: "mono wrap" }), open: h("td", { class: "num opt" }),
      first: h("td"), rerun: h("td", { class: "opt" }), resumed: h("td", { class: "num opt" }), gaps: h("td", { class: "num opt" }),
      since: h("td", { class: "opt" }, ago(null)),
    };
    return row(Object.values(cells), (worker) => {
      put(cells.name, host(worker.url) === location.host
        ? h("span", { class: "mono" }, worker.worker, h("span", { class: "aside opt" }, " this one"))
        : h("a", { href: worker.url, class: "mono" }, worker.worker));
      const state = worker.draining ? "draining" : worker.recovering ? "recovering" : "ready";
      put(cells.state, h("span", { class: `badge ${state}` }, state));
      text(cells.partitions, ranges(worker.partitions));
      text(cells.open, count(worker.open));
      for (const kind of ["first", "rerun"]) {
        const { used, of } = worker.slots[kind];
        put(cells[kind], h("span", { class: "slots" }, `${used} of ${of}`, gauge(used, of)));
      }
      text(cells.resumed, count(worker.resumed));
      text(cells.gaps, count(Object.values(worker.gaps).reduce((a, b) => a + b, 0)));
      setAgo(cells.since.firstChild, worker.started_at);
    });
  };
  const absent = (each) => {
    const cells = [
      h("td", { class: "mono" }, each.worker ? host(each.worker) : "nobody"), h("td", null, h("span", { class: "badge failed" }, "no answer")),
      h("td", { class: "mono wrap" }), h("td", { class: "wrap", colspan: "6" }),
    ];
    return row(cells, (item) => {
      text(cells[2], ranges(item.partitions));
      text(cells[3], item.reason);
    });
  };
  return {
    element: panel("Workers", table("Workers", [
      "Worker", "State", "Partitions", ["Open", "num opt"], "Slots", ["Rerun slots", "opt"], ["Resumed", "num opt"], ["Gaps", "num opt"], ["Started", "opt"],
    ], body)),
    show({ workers, missing }) {
      const items = [
        ...workers.map((worker) => ({ key: worker.url, worker })),
        ...missing.map((each) => ({ key: `missing ${each.worker}`, absent: each })),
      ];
      follow(body, items, (item) => item.key, (item) => {
        const made = item.worker ? make() : absent(item.absent);
        const update = made.update;
        made.update = (given) => update(given.worker ?? given.absent);
        made.update(item);
        return made;
      });
    },
  };
}

function makePartitions() {
  const body = h("tbody");
  let most = 1;
  let names = new Map();
  const make = () => {
    const cells = [
      h("th", { scope: "row", class: "num" }), h("td", { class: "num" }), h("td", { class: "wide" }),
      h("td", { class: "num opt" }), h("td", { class: "num opt" }), h("td", { class: "mono opt" }),
    ];
    return row(cells, (one) => {
      text(cells[0], one.partition);
      text(cells[1], count(one.lag));
      put(cells[2], gauge(one.lag ?? 0, most, "waiting"));
      text(cells[3], count(one.position));
      text(cells[4], count(one.end));
      text(cells[5], one.worker ? names.get(one.worker) ?? host(one.worker) : "nobody");
    });
  };
  const body_ = table("Lag by partition", [
    ["Partition", "num"], ["Lag", "num"], "", ["Next to read", "num opt"], ["End", "num opt"], ["Owner", "opt"],
  ], body);
  body_.classList.add("short");
  body_.querySelectorAll("th")[2].append(h("span", { class: "unseen" }, "Lag as a bar"));
  return {
    element: panel("Lag by partition", body_),
    show({ partitions, workers }) {
      names = new Map(workers.map((each) => [each.url, each.worker]));
      most = Math.max(1, ...partitions.map((each) => each.lag ?? 0));
      follow(body, partitions, (each) => each.partition, (each) => {
        const made = make();
        made.update(each);
        return made;
      });
    },
  };
}

function makeFailures(leaving) {
  const body = h("tbody");
  const none = h("p", { class: "none" }, "Looking…");
  const element = panel("Last failures", table("Last failures", ["Job", ["Handler", "opt"], "Error", "When"], body), none);
  const make = (item) => {
    const cells = [h("td", null, jobLink(item.id)), h("td", { class: "opt" }), h("td", { class: "error cut" }), h("td", null, ago(null))];
    return row(cells, (job) => {
      text(cells[1], job.handler ?? NONE);
      text(cells[2], job.error ?? NONE);
      cells[2].title = job.error ?? "";
      setAgo(cells[3].firstChild, job.finished_at);
    });
  };
  let jobs = [];
  // What is told and what is asked for come in any order: a failed job stays what it is.
  const add = (some) => {
    const all = new Map([...jobs, ...some].map((job) => [job.id, job]));
    jobs = [...all.values()].sort((a, b) => Date.parse(b.finished_at) - Date.parse(a.finished_at)).slice(0, FAILURES);
    show();
  };
  const show = () => {
    follow(body, jobs, (job) => job.id, (job) => {
      const made = make(job);
      made.update(job);
      return made;
    });
    none.hidden = jobs.length > 0;
    element.querySelector(".scroll").hidden = jobs.length === 0;
    text(none, "No job has failed.");
  };
  const load = async () => {
    try {
      const told = await get(url("/job/all", { status: "failed", order: "newest", limit: FAILURES }));
      add(told.jobs);
      if (told.missing.length) soon();
    } catch (error) {
      text(none, `This can't be told now: ${error.message}`);
      soon();
    }
  };
  let timer = null;
  let asking = null; // while nothing is told live
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(load, AGAIN_MS);
  };
  leaving(() => clearTimeout(timer));
  leaving(listen({ status: "failed" }, add, (trouble) => {
    bar("live", trouble === null ? null : [h("p", null, trouble)]);
    clearInterval(asking);
    if (trouble !== null) asking = setInterval(() => { if (!link.lost && !document.hidden) load(); }, AGAIN_MS);
  }, load));
  leaving(() => clearInterval(asking));
  link.addEventListener("back", load);
  leaving(() => link.removeEventListener("back", load));
  load();
  return element;
}
