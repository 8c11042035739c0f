// Dead letters: what could not be run, or has used up its reruns; replayed one by one or many.

import { get, newKey, post, url } from "./api.js";
import { follow, h, row, say, text } from "./dom.js";
import { count, NONE } from "./format.js";
import { link } from "./link.js";
import { ago, ask, jobLink, table, toast } from "./parts.js";

const LIMIT = 100;
const AT_ONCE = 4;
const AGAIN_MS = 3000;

export function dead({ place, leaving }) {
  const body = h("tbody");
  const chosen = new Set();
  const replayed = new Map();
  const all = h("input", { type: "checkbox", "aria-label": "Select all that can be replayed" });
  const replay = h("button", { type: "button", disabled: true }, "Replay selected");
  const more = h("button", { type: "button", hidden: true }, "Show more");
  const note = h("p", { class: "none", role: "status" }, "Looking…");
  const list = table("Dead letters", [
    h("span"), "Job", ["Handler", "opt"], ["Attempts", "num opt"], "Reason", "When", ["Letter", "opt"], "",
  ], body, { class: "letters" });
  const heads = list.querySelectorAll("th");
  heads[0].replaceChildren(all);
  heads[7].append(h("span", { class: "unseen" }, "Replay"));
  place.append(
    h("div", { class: "title" }, h("h1", null, "Dead letters"), h("div", { class: "actions" }, replay)),
    h("p", { class: "hint" }, "What could not be run, or has used up its reruns. A replay is a new job with the same data; the letter stays."),
    h("div", { class: "panel flush" }, list, note), h("div", { class: "pager" }, more),
  );

  let letters = [];
  let next = null;
  let timer = null;
  const key = (letter) => `${letter.partition}-${letter.offset}`;
  const draw = () => {
    follow(body, letters, key, (letter) => makeRow(letter, { chosen, replayed, changed, one: (id) => confirm([id]) }));
    list.hidden = letters.length === 0;
    more.hidden = next === null;
    changed();
  };
  const changed = () => {
    const able = [...new Set(letters.map((letter) => letter.id).filter((id) => id && !replayed.has(id)))];
    for (const id of chosen) if (!able.includes(id)) chosen.delete(id);
    replay.disabled = chosen.size === 0;
    replay.textContent = chosen.size ? `Replay ${count(chosen.size)} selected` : "Replay selected";
    all.checked = able.length > 0 && chosen.size === able.length;
    all.indeterminate = chosen.size > 0 && !all.checked;
    all.disabled = able.length === 0;
    for (const child of body.children) child.look();
  };
  const load = async (cursor) => {
    try {
      const told = await get(url("/job/dead", { limit: LIMIT, cursor }));
      letters = cursor ? [...letters, ...told.letters] : told.letters;
      next = told.next;
      text(note, letters.length ? "" : "No letter is here.");
      draw();
    } catch (error) {
      text(note, `Dead letters can't be had now: ${error.message}.`);
      clearTimeout(timer);
      timer = setTimeout(load, AGAIN_MS, cursor);
    }
  };
  const confirm = (ids, key = newKey()) => ask({
    title: ids.length === 1 ? `Replay job ${ids[0]}?` : `Replay ${ids.length} jobs?`,
    content: h("p", null, ids.length === 1 ? "Its data is submitted as a new job." : "The data of each is submitted as a new job."),
    button: "Replay",
    act: async () => {
      const wrong = await replayAll(ids, replayed, key);
      draw();
      const good = ids.length - wrong.length;
      say(`${good} replayed, ${wrong.length} not`);
      if (!wrong.length) {
        toast(`${good === 1 ? "One job is" : `${good} jobs are`} submitted again`);
        return;
      }
      throw new Error(`${good} replayed, ${wrong.length} not. ${wrong.slice(0, 5).map(({ id, message }) => `${id}: ${message}`).join("; ")}`);
    },
  });
  all.addEventListener("change", () => {
    for (const { id } of letters) if (id && !replayed.has(id)) chosen[all.checked ? "add" : "delete"](id);
    changed();
  });
  replay.addEventListener("click", () => confirm([...chosen]));
  more.addEventListener("click", () => load(next));
  const back = () => load();
  link.addEventListener("back", back);
  leaving(() => {
    clearTimeout(timer);
    link.removeEventListener("back", back);
  });
  load();
  return "Dead letters";
}

async function replayAll(ids, replayed, key) {
  const left = ids.filter((id) => !replayed.has(id)); // those that failed are tried again
  const wrong = [];
  const work = async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      try {
        replayed.set(id, (await post(`/job/${encodeURIComponent(id)}/retry`, {}, { headers: { "Idempotency-Key": `${key}-${id}` } })).id);
      } catch (error) {
        wrong.push({ id, message: error.message });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return wrong;
}

function makeRow(letter, { chosen, replayed, changed, one }) {
  const { id } = letter;
  const box = h("input", { type: "checkbox", "aria-label": `Select job ${id}` });
  const last = h("td", { class: "nowrap" });
  const made = row([
    h("td", null, id ? box : null), h("td", null, id ? jobLink(id) : NONE), h("td", { class: "opt" }, letter.handler ?? NONE),
    h("td", { class: "num opt" }, letter.attempts ?? NONE), h("td", { class: "error wrap" }, letter.reason ?? NONE),
    h("td", { class: "nowrap" }, ago(letter.at)), h("td", { class: "mono opt" }, `${letter.partition}:${letter.offset}`), last,
  ], () => {});
  box.addEventListener("change", () => {
    chosen[box.checked ? "add" : "delete"](id);
    changed();
  });
  made.look = () => {
    box.checked = chosen.has(id);
    box.disabled = replayed.has(id);
    const state = !id ? "none" : replayed.get(id) ?? "able";
    if (last.dataset.state === state) return;
    last.dataset.state = state;
    last.replaceChildren(...(!id ? [h("span", { class: "hint", title: "It isn't on the jobs topic, so there is no job to replay" }, "no job")]
      : replayed.has(id) ? ["→ ", jobLink(replayed.get(id))]
        : [h("button", { type: "button", class: "small", "aria-label": `Replay job ${id}`, onclick: () => one(id) }, "Replay")]));
  };
  made.look();
  return made;
}
