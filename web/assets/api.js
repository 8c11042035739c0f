// Calls to the worker. Errors are its problem documents, or that it can't be reached.

import { parse } from "./format.js";
import { link } from "./link.js";

const WAIT_MS = 15_000;

/** What the worker answered instead: status, detail, and the field that is wrong. */
export class Problem extends Error {
  constructor(status, told) {
    super(told.detail || told.title || `the worker answered ${status}`);
    this.status = status;
    this.field = told.field ?? null;
    this.retryAfterS = told.retryAfterS ?? null;
  }
}

/** The worker can't be reached; the bar on top says so. */
class Lost extends Error {}

/** Call an endpoint; its JSON. Not logged in: goes to /login. */
async function call(method, path, { body, headers, signal } = {}) {
  const given = body === undefined ? {} : { body: JSON.stringify(body) };
  const limits = [AbortSignal.timeout(WAIT_MS), ...(signal ? [signal] : [])];
  let answer;
  let told;
  try {
    answer = await fetch(path, {
      method,
      headers: { Accept: "application/json", ...headers },
      cache: "no-store",
      signal: AbortSignal.any(limits),
      ...given,
    });
    told = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    link.lose();
    throw new Lost("the worker can't be reached");
  }
  if (answer.status === 401) {
    logIn();
    throw new Lost("you are not logged in");
  }
  link.answered();
  const json = parsed(told);
  if (answer.ok) return json;
  const retryAfterS = Number(answer.headers.get("Retry-After")) || null;
  throw new Problem(answer.status, { ...(json ?? { detail: `the worker answered ${answer.status}` }), retryAfterS });
}

/** To the form, and back here. */
function logIn() {
  location.assign(`/login?next=/${location.hash}`);
}

/**
 * Why a stream is refused: {status, detail}; null if it isn't (any more), or the worker can't be
 * reached. Not logged in: goes to /login.
 */
export async function refusal(path) {
  const stop = new AbortController();
  const late = setTimeout(() => stop.abort(), WAIT_MS);
  try {
    const answer = await fetch(path, { headers: { Accept: "text/event-stream" }, cache: "no-store", signal: stop.signal });
    if (answer.ok) return null;
    if (answer.status === 401) logIn();
    return { status: answer.status, detail: parsed(await answer.text())?.detail ?? `the worker answered ${answer.status}` };
  } catch {
    return null;
  } finally {
    clearTimeout(late);
    stop.abort();
  }
}

export const get = (path, options) => call("GET", path, options);
export const post = (path, body, options) => call("POST", path, { body, ...options });

/** A key by which a worker knows a request that is sent twice. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A path with a query, less what is empty. */
export function url(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

function parsed(told) {
  try {
    return parse(told);
  } catch {
    return null;
  }
}
