"""I8: a list misses nothing that isn't named in ``missing``."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from tests.faults.checker.case import Case
from tests.faults.checker.model import FINAL, Call, Violation, place


def lists(case: Case) -> Iterator[Violation]:
    """Each page, in the course of the run and at rest, has every job that was accepted before
    it was asked for and that it is about; in order, each once, and none that doesn't exist."""
    accepted = sorted((place(job), job, calls[0].end) for job, calls in case.accepted.items())
    finals = _seen_final(case)
    for call in (*case.history.calls, *case.history.served):
        if not (call.is_list and call.status == 200):
            continue
        yield from _form(case, call)
        if call.forwarded:
            continue  # one worker's own part is rule I6's
        there = {entry["id"] for entry in call.answer["jobs"]}
        absent = {n for missing in call.answer["missing"] for n in missing["partitions"]}
        first, last = _range(call)
        for where, job, told in accepted[bisect_right(accepted, (first, "~")) :]:
            if last is not None and where > last:
                break
            if told >= call.begin or job in there or where[0] in absent:
                continue
            if job not in case.records:
                continue  # rule I1's
            if _asked_for(case, call, job, finals) and not case.log(job).gone:
                text = f"not in the list, and its partition isn't missing; {case.log(job).last}"
                yield Violation("I8", job, f"{text}: {_short(call)}")


def _form(case: Case, call: Call) -> Iterator[Violation]:
    after, last = _range(call)
    for entry in call.answer["jobs"]:
        where = place(entry["id"])
        if where <= after or (last is not None and where > last):
            yield Violation("I8", entry["id"], f"out of order, or twice: {_short(call)}")
        if entry["id"] not in case.records:
            yield Violation("I8", entry["id"], f"listed, but not in the log: {_short(call)}")
        for name in ("status", "handler"):
            if name in call.query and entry[name] != call.query[name]:
                yield Violation("I8", entry["id"], f"not asked for: {_short(call)}")
        after = where


def _range(call: Call) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """A page is about the places behind the first of these up to the second."""
    cursor, following = call.query.get("cursor"), call.answer["next"]
    # A worker's own page holds one more than asked for, so that who merges can tell.
    last = None if following is None or call.forwarded else place(following)
    return (-1, -1) if cursor is None else place(cursor), last


def _asked_for(case: Case, call: Call, job: str, finals: dict[str, float]) -> bool:
    status = call.query.get("status")
    if status is not None:  # only what can't change any more is sure to be asked for
        last = case.log(job).last
        if status not in FINAL or last is None or last.status != status:
            return False
        if finals.get(job, call.begin) >= call.begin:
            return False
    handler = call.query.get("handler")
    return handler is None or _handler(case, job) == handler


def _handler(case: Case, job: str) -> Any:
    """What its row says, or else its record. (A job that was canceled before any worker read it
    has a row without a handler.)"""
    last, record = case.log(job).last, case.records.get(job)
    if last is not None and last.doc is not None:
        return last.doc.get("handler")
    try:
        return json.loads((record and record.value) or b"").get("handler")
    except (ValueError, AttributeError):
        return None


def _seen_final(case: Case) -> dict[str, float]:
    """When somebody had surely seen a job's final state."""
    found: dict[str, float] = {}
    for read in case.reads:
        if read.answer.get("status") in FINAL:
            found[read.job] = min(read.call.end, found.get(read.job, read.call.end))
    return found


def _short(call: Call) -> str:
    jobs = call.answer["jobs"]
    return (
        f"line {call.line}: {call.client} {call.path} at {call.worker}: {len(jobs)} jobs, next "
        f"{call.answer['next']}, missing {call.answer['missing']}"
    )
