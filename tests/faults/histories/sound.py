"""Good histories, plain and odd."""

from __future__ import annotations

from tests.faults.builder import ONE, TWO, Builder
from tests.faults.histories.cases import breaks, last_offset


@breaks("good")
def nothing_happened(b: Builder) -> None:
    pass


@breaks("good")
def a_plain_job(b: Builder) -> None:
    job = b.submit(ttl=0)
    b.read(job, {"id": job, "status": "waiting", "attempt": 0})
    b.row(job, status="waiting", max_attempts=1)
    b.read(job)
    b.list()
    b.done(job)
    b.read(job)
    b.list("?status=done")


@breaks("good")
def reruns_then_failed(b: Builder) -> None:
    job = b.submit(ttl=1)
    b.row(job, status="waiting", max_attempts=2)
    for attempt in (1, 2):
        run = b.begin(job, attempt)
        b.read(job)
        b.end(run)
        b.row(job, status="waiting" if attempt == 1 else "failed", error="no")
        b.read(job)


@breaks("good")
def a_kill_and_a_takeover(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    b.begin(job, 1)
    b.read(job)
    b.kill(ONE)
    b.own(2, "b", TWO)
    b.row(job, status="waiting", attempt=0, started_at=None, crashes=1)
    b.read(job)
    b.done(job)
    b.read(job)


@breaks("good")
def a_paused_worker_that_runs_late(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    first = b.begin(job, 1)
    old = b.fence
    b.own(2, "b", TWO)
    b.row(job, status="waiting", attempt=0, crashes=1)
    second = b.begin(job, 1)
    b.end(first)  # at one time, but another owner came between
    b.row(job, fence=old, status="done", result="void")
    b.row(job)  # written again, so that compaction keeps it
    b.end(second)
    b.row(job, status="done", result="mine")
    b.read(job)


@breaks("good")
def a_void_row_where_nothing_stands(b: Builder) -> None:
    job = b.submit()
    old = b.fence
    b.own(2, "b", TWO)
    b.row(job, fence=old, status="waiting")
    b.put("changelog", job, None, fence=b.fence)  # what stands, once more: nothing
    b.row(job, status="waiting")
    b.done(job)


@breaks("good")
def canceled_before_and_in_the_middle(b: Builder) -> None:
    unread, waiting, running = b.submit(), b.submit(), b.submit()
    b.row(unread, status="canceled")
    b.row(waiting, status="waiting")
    b.row(waiting, status="canceled")
    b.row(running, status="waiting")
    b.begin(running, 1)
    b.row(running, status="canceled")
    for job in (unread, waiting, running):
        b.cancel(job)
        b.read(job)
    done = b.submit()
    b.row(done, status="waiting")
    b.done(done)
    b.cancel(done, 409)


@breaks("good")
def removed_after_its_time(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    b.done(job)
    b.read(job)
    b.remove(job)
    b.call("GET", f"/job/{job}/status", 404, {})
    b.list()


@breaks("good")
def overlapping_reads_in_any_order(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    early = {"id": job, "status": "waiting", "attempt": 0}
    b.done(job)
    at = b.read(job).begin
    b.read(job, early, begin=at, end=at + 0.01)


@breaks("good")
def a_list_that_names_what_is_missing(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    missing = [{"worker": ONE, "partitions": [0], "reason": "it can't be reached"}]
    b.call("GET", "/job/all", 200, {"jobs": [], "next": None, "missing": missing})
    b.call("GET", f"/job/{job}/status", 503, {})
    b.done(job)


def rerun_and_done(b: Builder, *, counting: bool = True) -> tuple[str, int]:
    """A job: executing 1, waiting 1, executing 2, done 2. With the place of the second of these
    rows."""
    b.own(2, "b", TWO, counting=counting)
    job = b.submit()
    b.end(b.begin(job, 1))
    b.row(job, status="waiting", error="no")
    waiting = last_offset(b)
    b.done(job, 2)
    return job, waiting


@breaks("good")
def a_late_copy_that_is_answered(b: Builder) -> None:
    job, waiting = rerun_and_done(b)
    b.copy(waiting)
    b.read(job)
    b.again(job)
    b.read(job)


@breaks("good")
def a_late_copy_before_the_next_row(b: Builder) -> None:
    b.own(2, "b", TWO, counting=True)
    owner = last_offset(b)
    job = b.submit()
    b.row(job, status="waiting")
    waiting = last_offset(b)
    run = b.begin(job, 1)
    b.copy(waiting)
    b.end(run)
    b.row(job, status="done")
    b.copy(owner)
    b.put("changelog", "owner", {"worker": TWO}, **b.stamp())


@breaks("good")
def a_batch_twice(b: Builder) -> None:
    job, _ = rerun_and_done(b)
    done = last_offset(b)
    b.copy(done - 1)
    b.copy(done)
    b.again(job)


@breaks("good")
def a_copy_of_a_removal(b: Builder) -> None:
    job, _ = rerun_and_done(b)
    b.remove(job)
    b.copy(last_offset(b))
    b.again(job)  # nothing


@breaks("good")
def the_next_owner_counts_anew(b: Builder) -> None:
    rerun_and_done(b)
    b.own(3, "c", ONE, counting=True)
    b.done(b.submit())
    b.own(4, "d", TWO)  # of a version that doesn't count
    b.done(b.submit())
    b.own(5, "e", ONE, counting=True)
    b.done(b.submit())
