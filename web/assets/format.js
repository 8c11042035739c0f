// Numbers and times as text.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const minutes = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const dated = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false, fractionalSecondDigits: 3,
});

export const NONE = "–";

/** 12,345; from a million on 1.2M. */
export function count(n) {
  if (n === null || n === undefined) return NONE;
  return Math.abs(n) < 1e6 ? whole.format(n) : short.format(n);
}

/** A number a second. */
export function rate(n) {
  return n < 10 ? String(Math.round(n * 10) / 10) : whole.format(Math.round(n));
}

/** A span of milliseconds: 0 ms, 340 ms, 2.4 s, 3 m 12 s, 2 h 5 m, 3 d 4 h. */
export function span(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return NONE;
  const all = Math.max(0, ms);
  if (all < 1000) return `${Math.round(all)} ms`;
  if (all < 10_000) return `${(all / 1000).toFixed(1)} s`;
  const seconds = Math.round(all / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return pair(seconds, 60, "m", 1, "s");
  if (seconds < 86_400) return pair(seconds, 3600, "h", 60, "m");
  return pair(seconds, 86_400, "d", 3600, "h");
}

function pair(seconds, large, first, small, second) {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${first}${rest ? ` ${rest} ${second}` : ""}`;
}

/** Between two RFC 3339 times, in ms; null if one isn't there. */
export function between(from, to) {
  return from && to ? Date.parse(to) - Date.parse(from) : null;
}

const precise = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false, fractionalSecondDigits: 3 });

/** A time, without its day if that is another time's. */
export function after(time, before) {
  const same = before && new Date(time).toDateString() === new Date(before).toDateString();
  return (same ? precise : dated).format(new Date(time));
}

export const at = (time) => clock.format(new Date(time));
export const minute = (time) => minutes.format(new Date(time));
export const full = (time) => dated.format(new Date(time));

/** "12 s ago", "in 3 s", "now". */
export function relative(time, now = Date.now()) {
  const ms = now - Date.parse(time);
  if (Math.abs(ms) < 1000) return "now";
  const seconds = Math.floor(Math.abs(ms) / 1000) * 1000;
  const words = seconds < 10_000 ? `${seconds / 1000} s` : span(seconds);
  return ms > 0 ? `${words} ago` : `in ${words}`;
}

/** 0–3, 5, 7–8 */
export function ranges(numbers) {
  const parts = [];
  for (const n of [...numbers].sort((a, b) => a - b)) {
    const last = parts.at(-1);
    if (last && last[1] === n - 1) last[1] = n;
    else parts.push([n, n]);
  }
  return parts.map(([a, b]) => (a === b ? `${a}` : `${a}–${b}`)).join(", ") || NONE;
}

/** JSON as a value. Numbers that JavaScript can't hold keep their digits, where the browser can. */
export function parse(text) {
  if (!JSON.rawJSON) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) => {
    const source = typeof value === "number" ? context?.source : undefined;
    const long = source !== undefined && source.replace(/\D/g, "").length > 15 && String(value) !== source;
    return long ? JSON.rawJSON(source) : value;
  });
}

/** A JSON value, set for reading. */
export const pretty = (value) => JSON.stringify(value, null, 2) ?? "null";

/** http://host:port without what is the same everywhere. */
export const host = (url) => url.replace(/^https?:\/\//, "");
