// Small charts in SVG, drawn anew at their real width, so that text stays sharp.

import { h, s, put } from "./dom.js";
import { minute, at } from "./format.js";

// In rem: a chart grows with the text around it.
const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) || 14;
const HEIGHT = Math.round(12 * rem);
const LEFT = 3.7 * rem;
const RIGHT = 0.4 * rem;
const TOP = 0.6 * rem;
const BOTTOM = 1.6 * rem;

/** A round number that isn't less: 1, 2, 2.5 or 5 times a power of ten. */
function ceiling(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((value) => value >= most * 0.999);
}

/**
 * A chart of points over time. `series`: [{name, kind, value(point)}]; `stacked` makes bars of
 * them, else they are lines. `format` writes a value. Its `show(points, stepS)` draws.
 */
export function chart({ label, series, stacked = false, format, summary }) {
  const drawing = s("svg", { class: "chart", role: "img", height: HEIGHT, "aria-label": label });
  const tip = h("div", { class: "tip", hidden: true });
  const legend = h("p", { class: "legend" }, series.map((one) =>
    h("span", null, h("i", { class: `key ${one.kind}` }), one.name)));
  const body = h("tbody");
  const numbers = h("details", { class: "numbers" },
    h("summary", null, "As a table"),
    h("div", { class: "scroll short", tabindex: "0", role: "group", "aria-label": `${label}, as a table` },
      h("table", null, h("caption", { class: "unseen" }, label),
        h("thead", null, h("tr", null, h("th", { scope: "col" }, "Time"), series.map((one) => h("th", { scope: "col", class: "num" }, one.name)))),
        body)));
  const box = h("div", { class: "chart-box" }, drawing, tip);
  const element = h("div", null, legend, box, numbers);
  let points = [];
  let stepS = 10;
  let width = 0;

  const x = (i) => LEFT + ((width - LEFT - RIGHT) * i) / Math.max(1, points.length);
  const draw = () => {
    width = Math.floor(box.clientWidth);
    if (!width || !points.length) return;
    const most = ceiling(Math.max(0, ...points.map((point) => {
      const values = series.map((one) => one.value(point) ?? 0);
      return stacked ? values.reduce((a, b) => a + b, 0) : Math.max(...values);
    })));
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most);
    drawing.setAttribute("width", width);
    drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    drawing.setAttribute("aria-label", `${label}. ${summary(points, stepS)}`);
    drawing.replaceChildren(...grid(most, y), ...times(), ...(stacked ? bars(y) : lines(y)),
      s("rect", { class: "cursor", y: TOP, height: HEIGHT - TOP - BOTTOM, width: 0 }));
    if (numbers.open) list();
  };
  const grid = (most, y) => [0, 0.5, 1].flatMap((part) => [
    s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(most * part), y2: y(most * part) }),
    s("text", { class: "axis", x: LEFT - 0.4 * rem, y: y(most * part) + 0.28 * rem, "text-anchor": "end" }, format(most * part)),
  ]);
  const times = () => {
    const each = width < 30 * rem ? 240 : 120;
    return points.flatMap((point, i) => {
      const seconds = Math.floor(Date.parse(point.at) / 1000);
      if (seconds % each >= stepS || x(i) > width - 1.7 * rem || x(i) < LEFT + 0.7 * rem) return [];
      return [s("text", { class: "axis", x: x(i), y: HEIGHT - 0.4 * rem, "text-anchor": "middle" }, minute(point.at))];
    });
  };
  const bars = (y) => points.flatMap((point, i) => {
    let below = 0;
    const gap = x(i + 1) - x(i) > 4 ? 1 : 0;
    return series.flatMap((one) => {
      const value = one.value(point) ?? 0;
      if (!value) return [];
      const top = y(below + value);
      const height = Math.max(1, y(below) - top);
      below += value;
      return [s("rect", { class: one.kind, x: x(i), y: top, width: Math.max(1, x(i + 1) - x(i) - gap), height })];
    });
  });
  const lines = (y) => series.flatMap((one) => {
    let path = "";
    const alone = [];
    points.forEach((point, i) => {
      const value = one.value(point);
      if (value === null || value === undefined) return;
      const before = i > 0 ? one.value(points[i - 1]) : null;
      const after = i + 1 < points.length ? one.value(points[i + 1]) : null;
      const middle = (x(i) + x(i + 1)) / 2;
      path += `${before === null || before === undefined ? "M" : "L"}${middle.toFixed(1)} ${y(value).toFixed(1)}`;
      const single = (v) => v === null || v === undefined;
      if (single(before) && single(after)) alone.push(s("circle", { class: one.kind, cx: middle, cy: y(value), r: 2 }));
    });
    return [s("path", { class: `line ${one.kind}`, d: path }), ...alone];
  });
  const list = () => put(body, [...points].reverse().map((point) => h("tr", null,
    h("th", { scope: "row" }, at(point.at)),
    series.map((one) => h("td", { class: "num" }, one.value(point) === null ? "–" : format(one.value(point)))))));

  numbers.addEventListener("toggle", list);
  box.addEventListener("pointermove", (event) => {
    if (!points.length) return;
    const i = Math.floor(((event.clientX - box.getBoundingClientRect().left - LEFT) / (width - LEFT - RIGHT)) * points.length);
    const point = points[i];
    const mark = drawing.querySelector(".cursor");
    tip.hidden = !point;
    mark?.setAttribute("width", point ? Math.max(1, x(i + 1) - x(i)) : 0);
    if (!point) return;
    mark?.setAttribute("x", x(i));
    tip.replaceChildren(h("b", null, at(point.at)), ...series.map((one) => h("span", null,
      h("i", { class: `key ${one.kind}` }), `${one.name} ${one.value(point) === null ? "–" : format(one.value(point))}`)));
    tip.style.left = `${Math.min(Math.max(0, x(i) + 12), Math.max(0, width - tip.offsetWidth))}px`;
  });
  box.addEventListener("pointerleave", () => {
    tip.hidden = true;
    drawing.querySelector(".cursor")?.setAttribute("width", 0);
  });
  new ResizeObserver(draw).observe(box);
  return {
    element,
    show(given, step) {
      points = given;
      stepS = step;
      draw();
    },
  };
}

/** A thin bar: how much of what is used. */
export function gauge(part, most, kind = "executing") {
  const share = most > 0 ? Math.min(1, part / most) : 0;
  return s("svg", { class: "gauge", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "track", width: 100, height: 6 }),
    s("rect", { class: kind, width: share > 0 ? Math.max(2, share * 100) : 0, height: 6 }));
}
