// Whether the worker answers. When it doesn't, it is asked again, and others hear when it does.

const FIRST_MS = 1000;
const LONGEST_MS = 10_000;
const PROBE_MS = 5000;

class Link extends EventTarget {
  lost = false;
  retryAt = 0;
  #pause = FIRST_MS;
  #timer = null;

  /** A call has failed. */
  lose() {
    if (this.lost) return;
    this.lost = true;
    this.#pause = FIRST_MS;
    this.#plan();
    this.dispatchEvent(new Event("lost"));
  }

  /** A call has been answered. */
  answered() {
    if (!this.lost) return;
    this.lost = false;
    clearTimeout(this.#timer);
    this.dispatchEvent(new Event("back"));
  }

  /** Ask whether it is there; true or false. */
  async probe() {
    try {
      // Any answer will do: it is there.
      await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(PROBE_MS) });
    } catch {
      this.lose();
      return false;
    }
    this.answered();
    return true;
  }

  /** Ask now, not at the end of the pause. */
  hurry() {
    clearTimeout(this.#timer);
    this.#again();
  }

  #plan() {
    this.retryAt = Date.now() + this.#pause;
    this.#timer = setTimeout(() => this.#again(), this.#pause);
    this.#pause = Math.min(this.#pause * 1.6, LONGEST_MS);
  }

  async #again() {
    if (!(await this.probe())) this.#plan();
  }
}

export const link = new Link();
