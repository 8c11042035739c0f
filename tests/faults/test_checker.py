"""Each rule of the checker: good histories pass all rules, and one that is broken on purpose is
caught by exactly the rule that it breaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.builder import ONE, TWO, Builder
from tests.faults.checker import judge
from tests.faults.checker.model import Call
from tests.faults.checker.shown import shown

Case = Callable[[Builder], Any]
CASES: dict[str, tuple[str, Case]] = {}
AT_REST: set[str] = set()  # cases that break what is served at rest, so they end by themselves


def breaks(rule: str, *, rested: bool = False) -> Callable[[Case], Case]:
    """Put a case in: it breaks this rule, or none (``good``)."""

    def put(build: Case) -> Case:
        CASES[build.__name__] = rule, build
        if rested:
            AT_REST.add(build.__name__)
        return build

    return put


def without(builder: Builder, topic: str, offset: int) -> None:
    """Take a record out, as if it had never been: those behind it move up."""
    records = builder.history.topics[topic]
    del records[offset]
    records[offset:] = [r._replace(offset=r.offset - 1) for r in records[offset:]]


def last_offset(builder: Builder) -> int:
    return len(builder.history.topics["changelog"]) - 1


def change(call: Call, **more: Any) -> None:
    """Another answer of a call."""
    call.answer.update(more)


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


@breaks("I0")
def a_place_is_left_out(b: Builder) -> None:
    a_plain_job(b)
    records = b.history.topics["changelog"]
    records[-1] = records[-1]._replace(offset=records[-1].offset + 1)


@breaks("I0")
def done_without_having_begun(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    b.row(job, status="done")


@breaks("I0")
def a_row_that_is_no_row(b: Builder) -> None:
    job = b.submit()
    b.row(job, status="waiting")
    b.put("changelog", job, ["no", "row"], fence=b.fence)
    b.done(job)


@breaks("I0")
def removed_before_it_had_a_row(b: Builder) -> None:
    job = b.submit()
    b.put("changelog", job, None, fence=b.fence)
    b.row(job, status="waiting")
    b.done(job)


@breaks("I1")
def an_acknowledged_cancel_is_not_in_the_log(b: Builder) -> None:
    a_plain_job(b)
    b.call("PRODUCE", "cancel", 0, {"id": "0-0"}, body="{}")


@breaks("I1")
def a_job_without_a_row(b: Builder) -> None:
    b.submit()


@breaks("I1")
def nobody_was_told_but_it_is_in_the_log(b: Builder) -> None:
    job = b.submit(accepted=False)
    b.row(job, status="waiting")
    b.begin(job, 1)


@breaks("I1")
def accepted_and_not_in_the_log(b: Builder) -> None:
    a_plain_job(b)
    b.call("POST", "/job", 202, {"id": "0-1", "status": "waiting"})


@breaks("I1")
def another_job_at_its_place(b: Builder) -> None:
    job = b.submit(data=1, accepted=False)
    b.call("POST", "/job", 202, {"id": job, "status": "waiting"}, body='{"data": 2}')
    b.row(job, status="waiting")
    b.done(job)


@breaks("I1")
def two_submissions_with_one_id(b: Builder) -> None:
    job = b.submit()
    b.history.calls.append(replace(b.history.calls[-1], client="c2"))
    b.row(job, status="waiting")
    b.done(job)


@breaks("I1")
def another_body_is_told_of_a_keys_job(b: Builder) -> None:
    job = b.submit(key="k", data=1)
    b.accept(job, data=2)
    b.done(job)


@breaks("I1")
def two_records_with_one_place(b: Builder) -> None:
    job = b.submit(accepted=False, key="k")
    for _ in range(2):
        b.accept(job, "PRODUCE")
    b.done(job)


@breaks("I1")
def two_jobs_for_one_key(b: Builder) -> None:
    for _ in range(2):
        b.done(b.submit(key="k"))


@breaks("I1")
def two_jobs_for_one_key_with_two_bodies(b: Builder) -> None:
    for data in (1, 2):
        b.done(b.submit(key="k", data=data))


@breaks("good")
def one_job_for_one_key(b: Builder) -> None:
    job = b.submit(key="k")
    b.accept(job)
    b.row(job, status="waiting")
    b.done(job)
    b.accept(job)
    b.list()
    second = b.submit(accepted=False, key="k")  # of a write that was taken for lost
    b.accept(job)
    b.row(second, status="canceled", error=f"the same Idempotency-Key as job {job}")


@breaks("good")
def a_key_that_a_program_has_set(b: Builder) -> None:
    job = b.submit(accepted=False, key="k")
    b.accept(job, "PRODUCE")
    b.accept(job)
    b.done(job)
    second = b.submit(accepted=False, key="k")
    b.accept(second, "PRODUCE")
    b.row(second, status="canceled")


@breaks("good")
def a_key_again_after_its_job_has_left(b: Builder) -> None:
    first = b.submit(key="k")
    b.done(first)
    b.remove(first)
    b.done(b.submit(key="k"))


@breaks("good")
def jobs_that_share_a_body(b: Builder) -> None:
    for key in ("a", "b", "", "", None, None):
        b.done(b.submit(key=key))


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


@pytest.mark.parametrize("name", CASES)
def test_a_history_is_caught_by_the_rule_that_it_breaks(name: str) -> None:
    rule, build = CASES[name]
    builder = Builder()
    build(builder)
    if name not in AT_REST:
        builder.rest()
    report = judge(builder.history)
    wanted = set() if rule == "good" else {rule}
    assert set(report.rules) == wanted, report.text()


def test_every_rule_has_two_histories_that_break_it() -> None:
    from tests.faults.checker.rules import RULES

    broken = [rule for rule, _ in CASES.values()]
    assert [rule for rule in RULES if broken.count(rule) < 2] == []


def test_a_removed_final_row_is_found_though_no_place_is_missing() -> None:
    b = Builder()
    a_plain_job(b)
    b.rest()
    without(b, "changelog", last_offset(b))
    assert {"I1", "I2", "I6"} <= set(judge(b.history).rules)


def test_duplicates_and_recovery_are_told() -> None:
    b = Builder()
    a_kill_and_a_takeover(b)
    report = judge(b.rest())
    assert (report.duplicates.takeovers, report.duplicates.unexplained) == (1, 0)
    (recovery,) = report.recoveries
    assert recovery.partitions == (0,)
    assert recovery.owned_s == pytest.approx(0.01)
    assert recovery.first_s == recovery.all_s == pytest.approx(0.06)
    assert report.final == {"done": 1}
    b = Builder()
    more_runs_than_rows(b)
    assert judge(b.rest()).duplicates.unexplained == 1
