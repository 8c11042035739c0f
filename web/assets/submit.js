// The dialog that submits a job.

import { about } from "./about.js";
import { newKey, post, Problem } from "./api.js";
import { h } from "./dom.js";
import { parse, pretty } from "./format.js";
import { ask, field, toast } from "./parts.js";

/** Ask for a job. `like`: a request whose fields are filled in. */
export function submitDialog(like = {}) {
  const names = h("datalist", { id: "submit-handlers" });
  const handler = h("input", { list: "submit-handlers", value: like.handler, placeholder: "simulate", autocomplete: "off", spellcheck: "false" });
  const handlerField = field("handler", "Handler", handler, "Which function runs it");
  const hint = handlerField.querySelector(".hint");
  const data = h("textarea", { rows: "7", spellcheck: "false", class: "mono" });
  data.value = like.data === undefined ? "" : pretty(like.data);
  const dataField = field("data", "Data (JSON)", data, "Any JSON value; empty is null");
  const key = newKey();
  about().then(({ handlers }) => {
    names.append(...handlers.map((each) => h("option", { value: each.name }, plain(each.doc))));
    const describe = () => {
      const known = handlers.find((each) => each.name === (handler.value.trim() || "simulate"));
      hint.textContent = known ? [plain(known.doc), known.timeout && `timeout ${known.timeout}`, known.reruns !== null && `${known.reruns} reruns`].filter(Boolean).join(" · ") : "Which function runs it";
    };
    handler.addEventListener("input", describe);
    describe();
  });
  data.addEventListener("blur", () => {
    const wrong = mistake(data.value);
    dataField.querySelector(".problem").textContent = wrong ?? "";
    data.toggleAttribute("aria-invalid", wrong !== null);
  });
  ask({
    title: "Submit a job",
    button: "Submit",
    content: [
      handlerField, names, dataField,
      h("div", { class: "three" },
        field("timeout", "Timeout", h("input", { value: likeTime(like.timeout), placeholder: "3s", autocomplete: "off" }), "Of one attempt"),
        field("ttl", "Reruns", h("input", { value: like.ttl, inputmode: "numeric", placeholder: "2", autocomplete: "off" }), "After failures"),
        field("delay", "Delay", h("input", { placeholder: "0s", autocomplete: "off" }), "Before it starts")),
    ],
    act: async (form) => {
      const body = read(form);
      // The same key for each press of the button: a job that was accepted, though the answer
      // was lost, isn't submitted twice.
      const told = await post("/job", body, { headers: { "Idempotency-Key": `${key}-${digest(body)}` } });
      toast(`Job ${told.id} is submitted`);
      location.hash = `#/job/${told.id}`;
    },
  });
}

/** A docstring's line without its markup. */
const plain = (doc) => doc.replaceAll("`", "");

function read(form) {
  const body = {};
  const value = (name) => form.elements[name].value.trim();
  if (value("handler")) body.handler = value("handler");
  const wrong = mistake(value("data"));
  if (wrong) throw new Problem(0, { detail: wrong, field: "data" });
  if (value("data")) body.data = parse(value("data"));
  if (value("timeout")) body.timeout = value("timeout");
  if (value("delay")) body.delay = value("delay");
  if (value("ttl")) {
    if (!/^\d{1,3}$/.test(value("ttl"))) throw new Problem(0, { detail: "a whole number from 0 to 100", field: "ttl" });
    body.ttl = Number(value("ttl"));
  }
  return body;
}

/** What is wrong with a JSON text; null if nothing is. */
function mistake(text) {
  if (!text.trim()) return null;
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return `This is no JSON: ${error.message}`;
  }
}

/** Nanoseconds as a duration; text stays. */
function likeTime(timeout) {
  return typeof timeout === "number" ? `${timeout / 1e6}ms` : timeout;
}

/** Another body gets another key (FNV-1a). */
function digest(body) {
  let hash = 0x811c9dc5;
  for (const character of JSON.stringify(body)) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  return hash.toString(16);
}
