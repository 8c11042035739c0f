// What happens to jobs, as it happens: GET /job/events, one stream at a time.

import { refusal, url } from "./api.js";
import { link } from "./link.js";

const FLUSH_MS = 150; // hundreds of events a second become a few changes of the page
const AGAIN_MS = 1500;
const MOST = 6; // times as long between two tries, when it goes on
const HIDDEN_MS = 10_000; // a browser has six connections to a worker, for all of its tabs

/**
 * Listen to transitions. `told` gets lists of them. `trouble` gets a text, or null when all is
 * well again. `missed` is called when some may have been missed, as before it was open: what was
 * asked for before that may be old. Returns a function that ends it.
 */
export function listen(query, told, trouble, missed) {
  let source = null;
  let last = null;
  let waiting = [];
  let flush = null;
  let again = null;
  let hiding = null;
  let failures = 0;
  let gap = true; // what happens before it is open is told to nobody
  let troubled = false;
  let ended = false;

  const path = () => url("/job/events", { ...query, last_event_id: last });

  const open = () => {
    source = new EventSource(path());
    source.onopen = () => {
      failures = 0;
      say(null);
      if (gap) missed();
      gap = false;
    };
    source.onerror = close;
    source.addEventListener("transition", (event) => {
      well();
      last = event.lastEventId || last;
      waiting.push(JSON.parse(event.data));
      flush ??= setTimeout(deliver, FLUSH_MS);
    });
    source.addEventListener("problem", (event) => say(JSON.parse(event.data).detail));
    source.addEventListener("recovered", well);
  };

  const say = (what) => {
    troubled = what !== null;
    trouble(what);
  };

  const well = () => {
    if (!troubled) return;
    say(null);
    missed();
  };

  const deliver = () => {
    flush = null;
    const events = waiting;
    waiting = [];
    told(events);
  };

  // It is opened anew by ourselves: a browser gives up after the first refusal, and tells nobody
  // what it was.
  const close = async () => {
    const mine = source;
    mine.close();
    const over = () => ended || link.lost || source !== mine;
    gap ||= last === null;
    if (over() || !(await link.probe()) || over()) return;
    failures += 1;
    const pause = AGAIN_MS * Math.min(failures, MOST);
    if (failures > 1) {
      const why = await refusal(path());
      if (over()) return;
      if (why?.status === 400) { // perhaps it is the last id that is refused
        last = null;
        gap = true;
      }
      say(`Live updates have stopped${why ? `: ${why.detail}` : ""}. They are tried again every ${Math.round(pause / 1000)} s; the page asks meanwhile.`);
    }
    clearTimeout(again);
    again = setTimeout(open, pause);
  };

  const stop = () => {
    clearTimeout(again);
    source?.close();
    source = null;
  };

  const back = () => {
    stop();
    failures = 0;
    if (!document.hidden) open();
  };

  const look = () => {
    clearTimeout(hiding);
    if (document.hidden) {
      hiding = setTimeout(stop, HIDDEN_MS);
    } else if (source === null) {
      last = null; // nobody wants to see hours of it pass by
      gap = true;
      open();
    }
  };

  link.addEventListener("back", back);
  document.addEventListener("visibilitychange", look);
  open();
  if (document.hidden) look();
  return () => {
    ended = true;
    clearTimeout(flush);
    clearTimeout(hiding);
    link.removeEventListener("back", back);
    document.removeEventListener("visibilitychange", look);
    stop();
  };
}
