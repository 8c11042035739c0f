"""Attempts, fences (I4, I5)."""

from __future__ import annotations

from tests.faults.builder import TWO, Builder
from tests.faults.histories.cases import breaks
from tests.faults.histories.sound import reruns_then_failed


@breaks("I4")
def one_attempt_too_many(b: Builder) -> None:
    job = b.submit(ttl=0)
    b.row(job, status="waiting", max_attempts=1)
    b.end(b.begin(job, 1))
    b.row(job, status="waiting")
    b.done(job, 2)


@breaks("I4")
def more_runs_than_rows(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    b.end(b.begin(job, 1))
    b.end(b.begin(job, 1, row=False))
    b.row(job, status="done")


@breaks("I4")
def an_attempt_is_skipped(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    b.done(job, 2)


@breaks("I4")
def a_rerun_that_nobody_asked_for(b: Builder) -> None:
    reruns_then_failed(b)
    b.history.topics["retry"].clear()


@breaks("I4")
def more_than_its_record_asks_for(b: Builder) -> None:
    job = b.submit(ttl=0)
    b.row(job, status="waiting")
    b.done(job)


@breaks("I5")
def two_runs_under_one_fence(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    first = b.begin(job, 1)
    b.row(job, status="waiting")
    second = b.begin(job, 2)
    b.end(first)
    b.end(second)
    b.row(job, status="done")


@breaks("I5")
def a_run_under_a_void_row(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    old, worker = b.fence, b.worker
    b.own(2, "b", TWO)
    b.row(job, fence=old, status="executing", attempt=1, worker=worker)
    b.end(b.begin(job, 1, row=False, worker=worker))
    b.row(job)
    b.done(job)


@breaks("I5")
def a_void_outcome_was_shown(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    b.end(b.begin(job, 1))
    old = b.fence
    b.own(2, "b", TWO)
    b.row(job, fence=old, status="done", result="void")
    b.read(job, {"id": job, "status": "done", "result": "void"}, client="other")
    b.row(job, status="waiting", attempt=0, crashes=1)
    b.done(job)
