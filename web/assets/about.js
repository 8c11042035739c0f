// GET /about: what the worker runs. It doesn't change while the worker lives.

import { get } from "./api.js";

let asked = null;

/** Handlers, topics, the broker. An empty one if it can't be had. */
export function about() {
  asked ??= get("/about").catch(() => {
    asked = null;
    return { kafka: "$KAFKA", topics: {}, handlers: [] };
  });
  return asked;
}
