"""What is served: rows, reads, lists, dead letters (I6 to I9)."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.faults.builder import TWO, Builder
from tests.faults.checker.shown import shown
from tests.faults.histories.cases import breaks, change, last_offset
from tests.faults.histories.sound import a_plain_job, rerun_and_done, reruns_then_failed


@breaks("I6", rested=True)
def served_otherwise_at_rest(b: Builder) -> None:
    a_plain_job(b)
    change(b.rest().served[0], status="failed")


@breaks("I6", rested=True)
def not_served_at_rest(b: Builder) -> None:
    a_plain_job(b)
    served = b.rest().served
    served[0] = replace(served[0], status=503)


@breaks("I6", rested=True)
def a_worker_lacks_a_job_of_its_own(b: Builder) -> None:
    a_plain_job(b)
    change(b.rest().served[-1], jobs=[])


@breaks("I6")
def compaction_would_keep_a_void_row(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    run = b.begin(job, 1)
    old = b.fence
    b.own(2, "b", TWO)
    b.row(job, status="waiting", attempt=0)
    b.end(run)
    b.done(job)
    b.row(job, fence=old, status="done", result="void")


@breaks("I6")
def compaction_would_keep_a_late_copy(b: Builder) -> None:
    _, waiting = rerun_and_done(b)
    b.copy(waiting)


@breaks("I6")
def a_copy_right_behind_is_not_answered(b: Builder) -> None:
    rerun_and_done(b)
    b.copy(last_offset(b))


@breaks("I7")
def a_copy_that_somebody_was_shown(b: Builder) -> None:
    job, waiting = rerun_and_done(b)
    late = json.loads(b.copy(waiting).value or b"")
    b.again(job)
    b.read(job)
    b.read(job, {"id": job, **shown(late)})


@breaks("I7")
def back_to_waiting_without_evidence(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    run = b.begin(job, 1)
    b.read(job)
    b.read(job, {"id": job, "status": "waiting", "attempt": 0})
    b.end(run)
    b.row(job, status="done")


@breaks("I7")
def a_final_state_leaves_a_readers_eyes(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    run = b.begin(job, 1)
    executing = dict(b.rows[job])
    b.end(run)
    b.row(job, status="done")
    b.read(job)
    b.read(job, {"id": job, "status": "executing", "attempt": executing["attempt"]})


@breaks("I7")
def a_state_that_the_log_never_had(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    change(b.read(job), status="executing")
    b.done(job)


@breaks("I7")
def unknown_after_it_was_accepted(b: Builder) -> None:
    job = b.submit()
    b.call("GET", f"/job/{job}/status", 404, {})
    b.row(job, status="waiting")
    b.done(job)


@breaks("I8")
def a_list_without_an_accepted_job(b: Builder) -> None:
    a_plain_job(b)
    change(b.list(), jobs=[])


@breaks("I8")
def a_page_that_passes_a_job_over(b: Builder) -> None:
    jobs = [b.submit() for _ in range(3)]
    for job in jobs:
        b.row(job, status="waiting")
    page = b.list("?limit=2&cursor=0-0")
    change(page, jobs=page.answer["jobs"][2:], next="0-2")
    for job in jobs:
        b.done(job)


@breaks("I8")
def done_jobs_without_one_that_was_seen_done(b: Builder) -> None:
    a_plain_job(b)
    change(b.list("?status=done"), jobs=[])


@breaks("I8")
def a_job_twice(b: Builder) -> None:
    a_plain_job(b)
    page = b.list()
    change(page, jobs=page.answer["jobs"] * 2)


@breaks("I9")
def failed_without_a_letter(b: Builder) -> None:
    reruns_then_failed(b)
    b.history.topics["dead"].clear()


@breaks("I9")
def a_letter_with_another_value(b: Builder) -> None:
    reruns_then_failed(b)
    (letter,) = b.history.topics["dead"]
    b.history.topics["dead"] = [letter._replace(value=b"{}")]
