"""What was accepted: its place, its row, its key (I0, I1)."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.builder import Builder
from tests.faults.histories.cases import breaks
from tests.faults.histories.sound import a_plain_job


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
