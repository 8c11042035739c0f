// A page of jobs. A worker looks at so many jobs for one answer: where filters match few, it may
// hold fewer than asked for, and still have more behind it.

import { get, url } from "./api.js";

const LIMIT = 50;
const ASKS = 40; // then somebody is asked whether to look further

/**
 * Jobs that match. Answers {jobs, next, missing, more}: `more` says that it has stopped though
 * there may be matches further on, at `next`.
 */
export async function search({ status, handler, error, cursor }, signal, progress) {
  const jobs = [];
  const missing = new Map();
  let next = cursor ?? null;
  for (let asks = 1; asks <= ASKS; asks += 1) {
    const query = { order: "newest", status, handler, error, limit: LIMIT - jobs.length, cursor: next };
    const told = await get(url("/job/all", query), { signal });
    for (const each of told.missing) missing.set(`${each.worker} ${each.partitions}`, each);
    jobs.push(...told.jobs);
    next = told.next;
    if (next === null || jobs.length >= LIMIT) return { jobs, next, missing: [...missing.values()], more: false };
    progress(asks);
  }
  return { jobs, next, missing: [...missing.values()], more: true };
}
