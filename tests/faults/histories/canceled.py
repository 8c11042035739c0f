"""Final states and cancels (I2, I3)."""

from __future__ import annotations

import json

from tests.faults.builder import ONE, TWO, Builder
from tests.faults.histories.cases import breaks, change
from tests.faults.histories.sound import rerun_and_done


@breaks("I2")
def done_and_then_canceled(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    b.done(job)
    b.row(job, status="canceled")


def waiting_again(b: Builder, job: str, waiting: int) -> None:
    """A row from before the end of a job stands again, and the job goes on from there."""
    doc = json.loads(b.history.topics["changelog"][waiting].value or b"")
    b.rows[job] = doc
    b.put("changelog", job, doc, **b.stamp())
    b.done(job, 2)


@breaks("I2")
def waiting_again_as_a_record_of_its_own(b: Builder) -> None:
    waiting_again(b, *rerun_and_done(b))


@breaks("I2")
def waiting_again_by_an_owner_that_does_not_count(b: Builder) -> None:
    job, waiting = rerun_and_done(b, counting=False)
    waiting_again(b, job, waiting)


@breaks("I2")
def another_result_than_the_logs(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    b.done(job)
    change(b.read(job), result=2)


@breaks("I2")
def told_failed_of_what_is_done(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    b.done(job)
    change(b.list(client="other"), jobs=[{"id": job, "status": "failed", "handler": "h"}])


@breaks("I2")
def told_done_of_what_is_canceled(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="canceled")
    b.cancel(job, 409)


@breaks("I3")
def canceled_before_it_started_and_ran(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    b.row(job, status="canceled")
    b.cancel(job)
    b.end(b.begin(job, 1, row=False))


@breaks("I3")
def a_cancel_that_does_not_hold(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    run = b.begin(job, 1)
    b.cancel(job)
    b.end(run)
    b.row(job, status="done")


@breaks("I3")
def begun_after_its_cancel_was_answered(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    b.row(job, status="executing", attempt=1)
    b.row(job, status="canceled")
    b.cancel(job)
    b.end(b.begin(job, 1, row=False))


def delayed(b: Builder) -> str:
    """A job that waits for its time."""
    job = b.submit(delay="20s")
    b.row(job, status="waiting")
    return job


@breaks("I3")
def a_cancel_that_was_taken_is_ignored(b: Builder) -> None:
    job = delayed(b)
    b.cancel(job, 202)
    b.wait(20)
    b.done(job)


@breaks("I3")
def a_cancel_on_the_topic_is_ignored(b: Builder) -> None:
    job = delayed(b)
    b.cancel_by_record(job, who="me", why="no")
    b.wait(20)
    b.done(job)


@breaks("I3")
def a_cancel_is_ignored_and_the_job_fails_later(b: Builder) -> None:
    job = b.submit(ttl=1)
    b.row(job, status="waiting", max_attempts=2)
    b.event("pause", ONE)
    b.wait(20)  # that was long ago
    run = b.begin(job, 1)
    b.cancel_by_record(job)
    b.end(run)
    b.row(job, status="waiting", error="no")
    b.event("pause", TWO)  # another one's trouble
    b.wait(20)
    b.end(b.begin(job, 2))
    b.row(job, status="failed")


@breaks("I3")
def a_cancel_is_ignored_and_the_job_is_removed(b: Builder) -> None:
    a_cancel_on_the_topic_is_ignored(b)
    b.remove("0-0")


@breaks("I3")
def begun_after_it_was_canceled_by_a_record(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="executing", attempt=1)
    b.cancel_by_record(job)
    b.row(job, status="canceled")
    b.wait(3)
    b.end(b.begin(job, 1, row=False))


@breaks("good")
def cancels_that_are_carried_out_late(b: Builder) -> None:
    one, two, three = delayed(b), delayed(b), b.submit()
    b.cancel(one, 202)
    b.cancel_by_record(two)
    b.cancel_by_record(three)
    b.wait(60)  # nobody owns it
    b.own(2, "b", TWO)
    for job in (one, two, three):
        b.row(job, status="canceled")
        b.cancel_by_record(job)


@breaks("good")
def cancels_that_come_too_late(b: Builder) -> None:
    job = delayed(b)
    run = b.begin(job, 1)
    b.cancel(job, 202)
    b.cancel_by_record(job)
    b.wait(1)
    b.end(run)
    b.row(job, status="done")
    b.cancel_by_record(job)
    b.cancel(job, 409)


@breaks("good")
def begun_before_its_cancel_is_read(b: Builder) -> None:
    job = delayed(b)
    b.cancel(job, 202)
    b.wait(10)
    b.done(job)


@breaks("good")
def begun_by_a_worker_that_was_away(b: Builder) -> None:
    job = delayed(b)
    b.event("pause", ONE)
    b.cancel_by_record(job)
    b.wait(20)
    b.done(job)


@breaks("good")
def begun_before_a_pause_that_the_run_comes_after(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="executing", attempt=1)
    first = b.fence
    b.cancel_by_record(job)
    b.wait(20)
    b.own(2, "b", TWO)
    b.row(job, status="canceled")
    b.wait(5)
    b.end(b.begin(job, 1, row=False, worker=ONE))  # it can't know
    b.row(job, fence=first, status="done")
    b.again(job)


@breaks("good")
def a_former_owner_runs_long_after_the_end_and_a_cancel(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="executing", attempt=1)
    b.own(2, "b", TWO)
    b.row(job, status="waiting", attempt=0, crashes=1)
    b.done(job)
    b.cancel_by_record(job)
    b.wait(20)
    b.end(b.begin(job, 1, row=False, worker=ONE))


@breaks("good")
def a_handler_on_its_way_as_its_job_is_canceled(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="executing", attempt=1)
    b.row(job, status="canceled")
    b.end(b.begin(job, 1, row=False))


@breaks("good")
def cancels_of_nothing(b: Builder) -> None:
    b.cancel_by_record("0-0")  # it comes later
    job = delayed(b)
    for nobody in ("0-77", "1-0", "00-0", "", "x", f"{job}\n"):
        b.cancel_by_record(nobody)
    b.cancel_by_record(job, why=5)  # it can't be read
    elsewhere = b.cancel_by_record(job)  # not in the job's partition
    change(elsewhere, id="1-0")
    cancel = b.history.topics["cancel"].pop()
    b.history.topics["cancel"].append(cancel._replace(partition=1, offset=0))
    b.call("POST", f"/job/{job}/cancel", 503, {})
    b.wait(20)
    b.done(job)
