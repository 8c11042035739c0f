// A job's attempts over time: a bar for each, and the waits between them.

import { h, s } from "./dom.js";
import { at, span } from "./format.js";

const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) || 14;
const LINE = 1.9 * rem;
const LEFT = 6 * rem;
const RIGHT = 5.4 * rem;

/**
 * Transitions → [{attempt, kind: "wait" | "run", from, to, end}]; `to` is null while it lasts,
 * `end` is what the attempt came to.
 */
function spans(transitions) {
  const found = [];
  let open = null;
  for (const { at: time, status, attempt, error } of transitions) {
    const ms = Date.parse(time);
    // A job that runs and is executing once more was taken up by its next owner.
    if (open) {
      open.to = ms;
      open.end = open.kind === "run" ? (status === "waiting" ? (error ? "failed" : "interrupted") : status === "executing" ? "interrupted" : status) : null;
      open.error = error;
    }
    open = null;
    if (status === "waiting") open = { attempt: attempt + (found.length && !error ? 0 : 1) || 1, kind: "wait", from: ms, to: null };
    else if (status === "executing") open = { attempt, kind: "run", from: ms, to: null };
    if (open) found.push(open);
  }
  // A wait belongs to the attempt that follows it.
  found.forEach((each, i) => {
    if (each.kind !== "wait") return;
    const next = found.slice(i + 1).find((other) => other.kind === "run");
    const before = found.slice(0, i).findLast((other) => other.kind === "run");
    each.attempt = next?.attempt ?? (before ? before.attempt + (before.end === "failed" ? 1 : 0) : 1);
  });
  return found;
}

/** The drawing; `show(transitions)` makes it, again when it goes on. */
export function timeline() {
  const drawing = s("svg", { class: "timeline", role: "img", height: 0, "aria-label": "No attempt has begun" });
  const box = h("div", { class: "chart-box" }, drawing);
  let given = [];
  const draw = () => {
    const width = Math.floor(box.clientWidth);
    const parts = spans(given);
    if (!width || !parts.length) return;
    const now = Date.now();
    const begin = parts[0].from;
    const end = Math.max(begin + 1, ...parts.map((each) => each.to ?? Math.max(now, each.from)));
    const x = (ms) => LEFT + ((width - LEFT - RIGHT) * (ms - begin)) / (end - begin);
    const attempts = [...new Set(parts.map((each) => each.attempt))].sort((a, b) => a - b);
    const height = attempts.length * LINE + 1.6 * rem;
    drawing.setAttribute("width", width);
    drawing.setAttribute("height", height);
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawing.setAttribute("aria-label", words(parts, now));
    drawing.replaceChildren(
      ...attempts.flatMap((attempt, i) => line(attempt, i, parts.filter((each) => each.attempt === attempt), x, now)),
      s("text", { class: "axis", x: LEFT, y: height - 0.4 * rem }, at(begin)),
      s("text", { class: "axis", x: width - RIGHT, y: height - 0.4 * rem, "text-anchor": "end" }, at(end)),
    );
  };
  new ResizeObserver(draw).observe(box);
  const timer = setInterval(() => {
    if (box.isConnected && spans(given).at(-1)?.to === null) draw();
  }, 1000);
  return {
    element: box,
    stop: () => clearInterval(timer),
    show(transitions) {
      given = transitions;
      draw();
    },
  };
}

function line(attempt, i, parts, x, now) {
  const middle = i * LINE + LINE / 2;
  const last = parts.at(-1);
  const right = x(Math.max(last.to ?? now, last.from));
  const ran = parts.filter((each) => each.kind === "run");
  const label = ran.length ? span(ran.reduce((all, each) => all + Math.max(0, (each.to ?? now) - each.from), 0)) : "waits";
  return [
    s("text", { class: "axis", x: 0, y: middle + 0.28 * rem }, `attempt ${attempt}`),
    ...parts.map((each) => {
      const from = x(each.from);
      const to = x(Math.max(each.to ?? now, each.from));
      const title = s("title", null, `${each.kind === "run" ? each.end ?? "executing" : "waiting"}, ${span((each.to ?? now) - each.from)}`);
      return each.kind === "wait"
        ? s("line", { class: "wait", x1: from, x2: Math.max(from + 1, to), y1: middle, y2: middle }, title)
        : s("rect", { class: each.end ?? "executing", x: from, y: middle - 0.5 * rem, width: Math.max(3, to - from), height: rem, rx: 2 }, title);
    }),
    s("text", { class: "axis strong", x: right + 0.6 * rem, y: middle + 0.28 * rem }, label),
  ];
}

function words(parts, now) {
  return parts.filter((each) => each.kind === "run")
    .map((each) => `Attempt ${each.attempt}: ${each.end ?? "executing"} after ${span((each.to ?? now) - each.from)}`)
    .join(". ") || "No attempt has begun";
}
