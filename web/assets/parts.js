// Pieces that several pages are made of.

import { h, say } from "./dom.js";
import { full, relative, NONE } from "./format.js";

export const STATES = ["waiting", "executing", "done", "failed", "canceled"];
export const isFinal = (status) => status === "done" || status === "failed" || status === "canceled";

/** A job's state: a word with a colour. */
export function badge(status) {
  const element = h("span", { class: "badge" });
  setBadge(element, status);
  return element;
}

export function setBadge(element, status) {
  if (element.textContent === status) return;
  element.className = `badge ${STATES.includes(status) ? status : "plain"}`;
  element.textContent = status;
}

export const jobLink = (id) => h("a", { href: `#/job/${encodeURIComponent(id)}`, class: "mono" }, id);

/** How long ago; the exact time is its title. It is kept up to date by `tick`. */
export function ago(time) {
  const element = h("time");
  setAgo(element, time);
  return element;
}

export function setAgo(element, time) {
  if (!time) {
    element.removeAttribute("datetime");
    element.removeAttribute("title");
    element.textContent = NONE;
  } else if (element.dateTime !== time) {
    element.dateTime = time;
    element.title = `${full(time)} (${time})`;
    element.textContent = relative(time);
  }
}

setInterval(() => {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time[datetime]:not(.exact)")) {
    const words = relative(element.dateTime);
    if (element.textContent !== words) element.textContent = words;
  }
}, 1000);

/** A button that copies a text. */
export function copyButton(what, value) {
  const button = h("button", { type: "button", class: "quiet small", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    const done = await copy(typeof value === "function" ? value() : value);
    button.textContent = done ? "Copied" : "Can't copy";
    say(done ? `Copied ${what}` : `${what} could not be copied`);
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return button;
}

async function copy(value) {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    // There is no clipboard for pages that came by plain http from another machine.
    const area = h("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = value;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

let toasting = null;

/** A few words at the bottom, for some seconds; also for those who only hear. */
export function toast(message, kind = "") {
  document.querySelector(".toast")?.remove();
  clearTimeout(toasting);
  const element = h("div", { class: `toast ${kind}` }, message);
  document.body.append(element);
  say(message);
  toasting = setTimeout(() => element.remove(), 5000);
}

/**
 * A dialog with a form. `act` is called with the form on its button and may throw: the error is
 * shown in the dialog, beside its field if it names one. It closes when `act` is done.
 */
export function ask({ title, content, button, kind = "primary", act }) {
  const problem = h("p", { class: "problem", role: "alert" });
  const go = h("button", { type: "submit", class: kind }, button);
  const close = h("button", { type: "button", class: "quiet" }, "Close");
  const heading = h("h2", { id: "dialog-title" }, title);
  const form = h("form", { method: "dialog", novalidate: true },
    heading, content, problem, h("div", { class: "actions" }, close, go));
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    clearFields(form);
    problem.textContent = "";
    go.disabled = true;
    try {
      if ((await act(form)) !== false) dialog.close();
    } catch (error) {
      if (!(error.field && markField(form, error.field, error.message))) problem.textContent = error.message;
    } finally {
      go.disabled = false;
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A labelled field; errors stand under it. */
export function field(name, label, control, hint) {
  const id = `field-${name}`;
  control.id = id;
  control.name = name;
  control.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  return h("div", { class: "field" },
    h("label", { for: id }, label), control,
    h("p", { class: "hint", id: `${id}-hint` }, hint ?? ""),
    h("p", { class: "problem", id: `${id}-error`, role: "alert" }));
}

/** Show an error under a field. False: there is no such field here. */
function markField(form, name, message) {
  const control = form.elements.namedItem(name);
  if (!control) return false;
  control.setAttribute("aria-invalid", "true");
  form.querySelector(`#${control.id}-error`).textContent = message;
  control.focus();
  return true;
}

function clearFields(form) {
  for (const control of form.elements) {
    control.removeAttribute("aria-invalid");
    const error = control.id && form.querySelector(`#${control.id}-error`);
    if (error) error.textContent = "";
  }
}

/** A box with a heading. */
export function panel(title, ...content) {
  const id = `panel-${title.toLowerCase().replace(/\W+/g, "-")}`;
  return h("section", { class: "panel", "aria-labelledby": id }, h("div", { class: "panel-head" }, h("h2", { id }, title)), content);
}

/** A table that may be wider than the window: it scrolls in itself, by keyboard too. */
export function table(caption, heads, body, attributes) {
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    h("table", attributes,
      h("caption", { class: "unseen" }, caption),
      h("thead", null, h("tr", null, heads.map((head) => {
        const [label, kind] = Array.isArray(head) ? head : [head, null];
        return h("th", { scope: "col", class: kind }, label);
      }))),
      body));
}
