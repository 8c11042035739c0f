// What is wrong now, above everything: a lost connection, workers that don't answer.

import { h, say } from "./dom.js";
import { host, ranges } from "./format.js";
import { link } from "./link.js";
import { stats } from "./stats.js";

const bars = new Map();

/** Show a bar, or take it away with null. It is read out once, not at each change of it. */
export function bar(name, content, kind = "warn") {
  const place = document.getElementById("bars");
  const old = bars.get(name);
  if (content === null) {
    old?.remove();
    bars.delete(name);
    return;
  }
  const fresh = h("div", { class: `bar ${kind}`, role: kind === "bad" ? "alert" : "status" }, content);
  if (old?.textContent === fresh.textContent) return;
  bars.set(name, fresh);
  if (old) old.replaceWith(fresh);
  else place.append(fresh);
}

/** Name what other workers didn't tell. `missing` as /stats and /job/all have it. */
export function showMissing(name, missing) {
  bar(name, missing.length === 0 ? null : missing.map(({ worker, partitions, reason }) => {
    const what = partitions.length ? `; partitions ${ranges(partitions)} are not shown` : "";
    return h("p", null, worker ? h("b", null, `Worker ${host(worker)}`) : h("b", null, "No worker"), `: ${reason}${what}.`);
  }));
}

/** Watch the connection. */
export function watchLink() {
  const seconds = h("span", { "aria-hidden": "true" });
  const now = h("button", { type: "button", class: "small" }, "Try now");
  now.addEventListener("click", () => link.hurry());
  const count = () => {
    const left = Math.ceil((link.retryAt - Date.now()) / 1000);
    const words = left > 0 ? `trying again in ${left} s` : "trying again now";
    if (seconds.textContent !== words) seconds.textContent = words;
  };
  let timer = null;
  link.addEventListener("lost", () => {
    document.body.classList.add("lost");
    const others = (stats.last?.workers ?? []).map((each) => each.url).filter((url) => host(url) !== location.host);
    const rest = others.length ? h("span", { class: "others" }, "Other workers: ", others.map((url) =>
      h("a", { href: `${url}/${location.hash}` }, host(url)))) : null;
    count();
    bar("link", [h("b", null, `Connection to worker ${location.host} lost`), ", ", seconds, ". What is shown is old. ", now, rest], "bad");
    timer = setInterval(count, 250);
  });
  link.addEventListener("back", () => {
    document.body.classList.remove("lost");
    clearInterval(timer);
    bar("link", null);
    say("The connection is back");
  });
}
