// What happens to jobs, as it happens: GET /job/events, one stream at a time.

import { url } from "./api.js";
import { link } from "./link.js";

const FLUSH_MS = 150; // hundreds of events a second become a few changes of the page
const AGAIN_MS = 1500;

/**
 * Listen to transitions. `told` gets lists of them. `trouble` gets a text, or null when all is
 * well again. Returns a function that ends it.
 */
export function listen(query, told, trouble) {
  let source = null;
  let last = null;
  let waiting = [];
  let flush = null;
  let again = null;
  let failures = 0;
  let ended = false;

  const open = () => {
    source = new EventSource(url("/job/events", { ...query, last_event_id: last }));
    source.onopen = () => {
      failures = 0;
      trouble(null);
    };
    source.onerror = close;
    source.addEventListener("transition", (event) => {
      last = event.lastEventId || last;
      waiting.push(JSON.parse(event.data));
      flush ??= setTimeout(deliver, FLUSH_MS);
    });
    source.addEventListener("problem", (event) => trouble(JSON.parse(event.data).detail));
  };

  const deliver = () => {
    flush = null;
    const events = waiting;
    waiting = [];
    told(events);
  };

  // It is opened anew by ourselves: the browser's own way gives up after the first refusal.
  const close = async () => {
    source.close();
    if (ended || link.lost || !(await link.probe()) || ended) return;
    failures += 1;
    if (failures > 1) {
      last = null; // perhaps it is that which is refused
      trouble("Live updates have stopped; the page asks every few seconds instead.");
    }
    clearTimeout(again);
    again = setTimeout(open, AGAIN_MS * Math.min(failures, 6));
  };

  const back = () => {
    clearTimeout(again);
    source.close();
    open();
  };
  link.addEventListener("back", back);
  open();
  return () => {
    ended = true;
    clearTimeout(flush);
    clearTimeout(again);
    link.removeEventListener("back", back);
    source.close();
  };
}
