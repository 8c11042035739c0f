// One job: how it stands, what happened to it, what it was given and gave back.

import { about } from "./about.js";
import { get, newKey, post } from "./api.js";
import { bar } from "./bars.js";
import { h, put, say } from "./dom.js";
import { after, between, full, host, NONE, pretty, span } from "./format.js";
import { link } from "./link.js";
import { listen } from "./live.js";
import { ago, ask, badge, copyButton, field, isFinal, jobLink, panel, setBadge, table, toast } from "./parts.js";
import { submitDialog } from "./submit.js";
import { timeline } from "./timeline.js";

const TRIES = 5; // at a history that a busy worker didn't find at once
const EACH_MS = 1000; // progress is no transition, so a running job is asked for it

export function job({ place, argument: id, leaving }) {
  const state = badge("…");
  const actions = h("div", { class: "actions" });
  const problem = h("p", { class: "bar bad", role: "alert", hidden: true });
  const facts = h("dl", { class: "facts" });
  const progress = h("div", { class: "progress", hidden: true });
  const line = timeline();
  const steps = h("tbody");
  const incomplete = h("p", { class: "hint" });
  const stepsTable = h("details", null, h("summary", null, "Every transition"), table("Transitions", [
    "Time", "State", ["Attempt", "num"], "Worker", ["Changelog", "opt"], "Error",
  ], steps));
  const happened = panel("What happened", line.element, progress, incomplete, stepsTable);
  const outcome = h("div", { class: "stack" });
  const data = h("pre", { tabindex: "0", "aria-label": "Data" }, "…");
  const dataPanel = panel("Data", data);
  const log = h("div");
  const logPanel = panel("Place in the log", log);
  const content = h("div", { class: "stack" }, happened, h("div", { class: "pair" }, outcome, h("div", { class: "stack" }, dataPanel, logPanel)));
  place.append(
    h("div", { class: "title" }, h("h1", { class: "mono" }, id), copyButton("the id", id), state, actions),
    problem, facts, content,
  );

  let now = null;
  let record = null;
  let gone = false;
  let busy = false;
  let again = false;
  let unfound = 0;

  const show = () => {
    if (state.textContent !== "…" && state.textContent !== now.status) say(`Job ${id} is ${now.status}`);
    setBadge(state, now.status);
    put(facts, factsOf(now));
    showActions();
    put(outcome, outcomeOf(now));
    const { fraction, note } = now.progress ?? {};
    progress.hidden = !now.progress;
    if (now.progress) {
      const share = fraction === null || fraction === undefined ? null : Math.round(fraction * 100);
      put(progress, h("progress", { max: 100, value: share, "aria-label": "Progress" }),
        h("span", null, [share === null ? null : `${share} %`, note].filter(Boolean).join(" · ")));
    }
  };
  const showActions = () => {
    const names = isFinal(now.status) ? (now.status === "done" ? ["copy"] : ["retry", "copy"]) : ["cancel", "copy"];
    if (actions.dataset.names === names.join()) return;
    const focused = actions.contains(document.activeElement);
    actions.dataset.names = names.join();
    const make = {
      cancel: () => h("button", { type: "button", class: "danger", onclick: () => cancelDialog(id, load) }, "Cancel"),
      retry: () => h("button", { type: "button", onclick: () => retryDialog(id) }, "Retry"),
      copy: () => h("button", { type: "button", class: "quiet", onclick: () => submitDialog(record?.value ?? { handler: now.handler }) }, "Submit another like it"),
    };
    actions.replaceChildren(...names.map((name) => make[name]()));
    if (focused) actions.firstChild.focus();
  };
  const load = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      now = await get(`/job/${encodeURIComponent(id)}/status`);
      problem.hidden = true;
      content.hidden = false;
      show();
      await loadHistory();
      if (!record) await loadRecord();
    } catch (error) {
      if (!now || error.status) {
        problem.hidden = false;
        problem.textContent = error.message;
        content.hidden = !now;
        gone = error.status === 404 || error.status === 400;
        if (!now) {
          setBadge(state, gone ? "unknown" : "…");
        }
      }
    } finally {
      busy = false;
    }
    if (again) {
      again = false;
      load();
    }
  };
  const loadHistory = async () => {
    try {
      const told = await get(`/job/${encodeURIComponent(id)}/history`);
      line.show(told.transitions);
      put(steps, told.transitions.map((each) => stepRow(each, told.topic)));
      const none = told.transitions.length === 0;
      unfound = none && now.attempt > 0 ? unfound + 1 : 0;
      put(incomplete, none ? ["No transition of this job is found in the changelog."]
        : told.complete ? [] : ["Older transitions are gone: the changelog keeps them for JOBS_HISTORY."]);
      stepsTable.hidden = none;
    } catch (error) {
      if (error.status) put(incomplete, `The history can't be told: ${error.message}`);
    }
  };
  const loadRecord = async () => {
    try {
      record = await get(`/job/${encodeURIComponent(id)}/record`);
    } catch (error) {
      if (error.status) put(data, error.status === 404 ? "The record has expired from the topic." : error.message);
      return;
    }
    const value = record.value;
    const own = value !== null && typeof value === "object" && !Array.isArray(value);
    const set = own ? pretty(value.data ?? null) : record.text ?? pretty(value);
    put(data, set);
    if (!dataPanel.querySelector(".panel-head button")) dataPanel.querySelector(".panel-head").append(copyButton("the data", set));
    const { kafka } = await about();
    put(log, placeOf(record, own ? value : null));
    const command = `kcat -C -b ${kafka} -t ${record.topic} -p ${record.partition} -o ${record.offset} -c 1`;
    log.append(h("div", { class: "command" }, h("code", null, command), copyButton("the command", command)));
  };

  leaving(listen({ id }, load, (trouble) => bar("live", trouble === null ? null : [h("p", null, trouble)]), load));
  const timer = setInterval(() => {
    if (!document.hidden && !link.lost && !gone && !(now && isFinal(now.status) && problem.hidden && (unfound === 0 || unfound > TRIES))) load();
  }, EACH_MS);
  link.addEventListener("back", load);
  leaving(() => {
    clearInterval(timer);
    line.stop();
    link.removeEventListener("back", load);
  });
  load();
  return `Job ${id}`;
}

function factsOf(job) {
  const fact = (name, value) => (value === null || value === undefined ? [] : [h("div", null, h("dt", null, name), h("dd", null, value))]);
  const running = between(job.started_at, job.finished_at);
  return [
    fact("Handler", h("a", { href: `#/jobs?${new URLSearchParams({ handler: job.handler ?? "" })}` }, job.handler ?? NONE)),
    fact("Attempt", `${job.attempt || NONE} of ${job.max_attempts}`),
    fact("Submitted", job.submitted_at && exact(job.submitted_at)),
    fact("Started", job.started_at && exact(job.started_at, job.submitted_at)),
    fact("Finished", job.finished_at && exact(job.finished_at, job.submitted_at)),
    fact("Last attempt ran", running === null ? null : span(running)),
    fact("Next attempt", job.next_attempt_at && ago(job.next_attempt_at)),
    fact("Worker", job.worker && h("span", { class: "mono" }, host(job.worker))),
    fact("Retry of", job.replay_of && jobLink(job.replay_of)),
    fact("Submitted by job", job.parent && jobLink(job.parent)),
    fact("Schedule", job.schedule),
    fact("Scheduled for", job.scheduled_at && exact(job.scheduled_at)),
  ].flat();
}

function exact(time, before) {
  return h("time", { class: "exact", datetime: time, title: time }, after(time, before));
}

function outcomeOf(job) {
  const boxes = [];
  if (job.error) {
    boxes.push(withCopy(panel("Error", h("pre", { class: "error", tabindex: "0", "aria-label": "Error" }, job.error),
      job.trace ? h("details", { open: true }, h("summary", null, "Trace"), h("pre", { tabindex: "0", "aria-label": "Trace" }, job.trace)) : null),
    "the error", job.trace ? `${job.error}\n\n${job.trace}` : job.error));
  }
  if (job.status === "done") {
    const set = pretty(job.result);
    boxes.push(withCopy(panel("Result", h("pre", { tabindex: "0", "aria-label": "Result" }, set),
      job.result_truncated ? h("p", { class: "hint" }, `Cut: the whole result has ${job.result_bytes} bytes.`) : null), "the result", set));
  }
  if (!boxes.length) boxes.push(panel("Result", h("p", { class: "none" }, isFinal(job.status) ? "There is none." : "Not yet.")));
  return boxes;
}

function withCopy(box, what, value) {
  box.querySelector(".panel-head").append(copyButton(what, value));
  return box;
}

function stepRow(each, topic) {
  return h("tr", null,
    h("td", { class: "nowrap" }, h("time", { class: "exact", datetime: each.at, title: each.at }, full(each.at))),
    h("td", null, badge(each.status)), h("td", { class: "num" }, each.attempt), h("td", { class: "mono" }, each.worker ? host(each.worker) : NONE),
    h("td", { class: "mono opt", title: `${topic}, partition ${each.partition}, offset ${each.offset}` }, `${each.partition}:${each.offset}`),
    h("td", { class: "error wrap" }, each.error ?? (each.next_attempt_at ? `next attempt at ${full(each.next_attempt_at)}` : "")));
}

function placeOf(record, request) {
  const fact = (name, value) => (value === null || value === undefined || value === "" ? [] : [h("div", null, h("dt", null, name), h("dd", { class: "mono wrap" }, value))]);
  const asked = request && Object.fromEntries(Object.entries(request).filter(([name]) => name !== "data"));
  const headers = record.headers && Object.entries(record.headers).map(([name, value]) => `${name}: ${value}`).join("\n");
  return [h("dl", { class: "facts" },
    fact("Topic", record.topic), fact("Partition", record.partition), fact("Offset", record.offset),
    fact("Written", record.timestamp && full(record.timestamp)), fact("Key", record.key), fact("Headers", headers || null),
    asked && Object.keys(asked).length ? fact("Asked for", JSON.stringify(asked)) : [])];
}

function cancelDialog(id, after) {
  ask({
    title: `Cancel job ${id}?`,
    kind: "danger",
    button: "Cancel the job",
    content: [
      h("p", null, "An attempt that runs is stopped. A canceled job stays canceled; it can be retried as a new one."),
      field("why", "Why", h("input", { maxlength: "500", autocomplete: "off" }), "Kept with the job"),
    ],
    act: async (form) => {
      const why = form.elements.why.value.trim();
      const told = await post(`/job/${encodeURIComponent(id)}/cancel`, why ? { why } : {});
      toast(told.status === "canceled" ? `Job ${id} is canceled` : `Job ${id} is being stopped`);
      after();
    },
  });
}

function retryDialog(id) {
  const key = newKey();
  ask({
    title: `Run job ${id} again?`,
    button: "Retry",
    content: h("p", null, "The same data is submitted as a new job with an id of its own. This one stays as it is."),
    act: async () => {
      const told = await post(`/job/${encodeURIComponent(id)}/retry`, {}, { headers: { "Idempotency-Key": key } });
      toast(`Job ${told.id} is the retry of ${id}`);
      location.hash = `#/job/${told.id}`;
    },
  });
}
