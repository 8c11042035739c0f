// GET /stats, asked again and again while somebody looks.

import { get } from "./api.js";
import { link } from "./link.js";

const EACH_MS = 2000;

class Stats extends EventTarget {
  last = null;
  #running = false;

  start() {
    setInterval(() => { if (!document.hidden && !link.lost) this.ask(); }, EACH_MS);
    document.addEventListener("visibilitychange", () => { if (!document.hidden && !link.lost) this.ask(); });
    link.addEventListener("back", () => this.ask());
    this.ask();
  }

  async ask() {
    if (this.#running) return; // a slow answer isn't asked for twice
    this.#running = true;
    try {
      this.last = await get("/stats");
      this.dispatchEvent(new Event("told"));
    } catch { /* the bar says what is wrong; the next round asks again */ } finally {
      this.#running = false;
    }
  }
}

export const stats = new Stats();

/** Hear of each answer, the last one at once. Returns a function that ends it. */
export function onStats(hear) {
  const told = () => hear(stats.last);
  stats.addEventListener("told", told);
  if (stats.last) told();
  return () => stats.removeEventListener("told", told);
}
