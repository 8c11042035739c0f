"""Jobs of records run again with no Kafka, and their outcomes held against recorded ones."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
import pytest

import handlers  # noqa: F401 - registers those that come with the worker
from agents.limits import Limits
from jobs.model import Job, JobId, Status
from jobs.registry import HANDLERS
from jobs.resources import Resources
from log.reader import Record
from rehearsal import batch
from rehearsal.batch import AHEAD, Batch, Rehearsed
from rehearsal.compare import Outcome, Verdict, comparable, compare
from settings import load
from tests.apps import rehearsed

pytestmark = pytest.mark.asyncio
AT = 1_700_000_000_000


async def records(values: Iterable[bytes | None]) -> AsyncIterator[tuple[JobId, Record]]:
    for offset, value in enumerate(values):
        yield JobId(3, offset), Record(offset, AT, None, value, ())


async def rehearse(*values: bytes | None, slots: int = 4) -> list[Rehearsed]:
    found: list[Rehearsed] = []
    running: list[list[JobId]] = []
    s = load({"JOBS_WORKERS": str(slots)})
    made = Batch(
        HANDLERS,
        Limits.of(s),
        1,
        Resources(),
        s.max_row_bytes,
        found.append,
        lambda jobs: running.append(list(jobs)),
    )
    try:
        await made.run(records(values))
    finally:
        made.close()
    assert all(len(jobs) <= slots for jobs in running)
    assert running[-1:] in ([], [[]])
    return sorted(found, key=lambda job: job.job_id)


def asks(handler: str, data: Any = None, **more: Any) -> bytes:
    return msgspec.json.encode({"handler": handler, "data": data, **more})


def result(job: Rehearsed) -> Any:
    assert job.row.status is Status.DONE, job.row
    assert job.row.result is not msgspec.UNSET
    return msgspec.json.decode(job.row.result)


async def test_handlers_are_told_wherever_they_run() -> None:
    told, thread, process = await rehearse(
        asks("told"), asks("told-in-thread"), asks("told-in-process", timeout="60s")
    )
    assert result(told) == {"rehearsal": True, "id": "3-0", "key": f"3-0@{AT}"}
    assert result(thread) is True
    assert result(process)[:2] == [True, "2147483647-1"]
    assert result(process)[2] != os.getpid()
    assert process.submitted == [{"handler": "echo", "data": 1, "parent": "3-2"}]


async def test_what_is_not_marked_is_not_run() -> None:
    unsafe, http, safe = await rehearse(asks("unsafe"), asks("http", {"url": "x"}), asks("echo", 1))
    assert unsafe.skipped == "handler 'unsafe' isn't marked rehearse=True"
    assert unsafe.row.status is Status.WAITING
    assert rehearsed.RAN == []
    assert http.skipped or http.row.status is Status.FAILED
    assert (safe.skipped, result(safe)) == (None, 1)


async def test_what_can_not_run_fails_as_a_worker_fails_it() -> None:
    rows = await rehearse(b"{", None, asks("gone"), asks("echo", ttl=-1), asks("splits", "x"))
    assert [(job.row.status, job.row.attempt) for job in rows] == [(Status.FAILED, 0)] * 5
    errors = [job.row.error or "" for job in rows]
    assert errors[0].startswith("not JSON")
    assert errors[2].startswith("handler: no handler is named 'gone' (known: ")
    assert errors[4] == "data: expected int, got str"


async def test_follow_ups_are_noted_and_not_sent() -> None:
    few, many = await rehearse(asks("splits", 2), asks("splits", 50))
    assert result(few) == ["2147483647-1", "2147483647-2"], "the same ids each time"
    assert few.submitted[1] == {"handler": "unsafe", "data": 1, "ttl": 0, "parent": "3-0"}
    assert (many.follow_ups, len(many.submitted)) == (50, batch.KEPT_FOLLOW_UPS)
    assert rehearsed.RAN == []


async def test_reruns_delays_and_limits() -> None:
    jobs = await rehearse(*[asks("third-time", delay="1h")] * 50, slots=20)
    assert [(result(job), job.row.attempt) for job in jobs] == [(3, 3)] * 50
    assert rehearsed.AT_ONCE[1] == 2, "max_running holds"
    (timed_out,) = await rehearse(asks("sleep", 60, timeout="20ms", ttl=1))
    assert (timed_out.row.error, timed_out.row.attempt) == ("timed out after 20ms", 2)


async def test_a_handler_that_nothing_stops_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "PATIENCE_S", 0.05)
    deaf, *rest = await rehearse(asks("deaf", 2.0), *[asks("echo", n) for n in range(9)], slots=1)
    assert deaf.row.error == "timed out after 10ms"
    assert [result(job) for job in rest] == list(range(9))


async def test_what_can_not_be_told_ends_it() -> None:
    told: list[Rehearsed] = []

    def tell(job: Rehearsed) -> None:
        told.append(job)
        raise BrokenPipeError

    s = load({"JOBS_WORKERS": "1"})
    made = Batch(HANDLERS, Limits.of(s), 1, Resources(), s.max_row_bytes, tell)
    try:
        with pytest.raises(BrokenPipeError):
            await made.run(records([asks("echo", n) for n in range(1000)]))
    finally:
        made.close()
    assert len(told) < 500


async def test_only_some_are_read_ahead() -> None:
    open_now = 0
    most = 0
    s = load({"JOBS_WORKERS": "2"})

    def ended(job: Rehearsed) -> None:
        nonlocal open_now
        open_now -= 1

    async def counted() -> AsyncIterator[tuple[JobId, Record]]:
        nonlocal open_now, most
        async for each in records([asks("told-in-thread")] * 500):
            open_now += 1
            most = max(most, open_now)
            yield each

    made = Batch(HANDLERS, Limits.of(s), 1, Resources(), s.max_row_bytes, ended)
    await made.run(counted())
    assert (open_now, most) == (0, AHEAD + 3)


def row(status: Status, **fields: Any) -> Outcome:
    return Outcome.of(Job(status=status, submitted_at=AT, **fields))


DONE = row(Status.DONE, attempt=1, result=msgspec.Raw(b'{"a":1,"b":[2]}'))
FAILED = row(Status.FAILED, attempt=3, error="ValueError: no")


@pytest.mark.parametrize(
    ("then", "now", "verdict", "fields"),
    [
        (DONE, DONE, Verdict.SAME, ()),
        (
            DONE,
            row(Status.DONE, attempt=1, result=msgspec.Raw(b'{"b": [2], "a": 1}')),
            Verdict.SAME,
            (),
        ),
        (
            DONE,
            row(Status.DONE, attempt=1, result=msgspec.Raw(b'{"a":1.0,"b":[2]}')),
            Verdict.DIFFERENT,
            ("result",),
        ),
        (FAILED, DONE, Verdict.BETTER, ("status", "result", "error", "attempts")),
        (DONE, FAILED, Verdict.WORSE, ("status", "result", "error", "attempts")),
        (FAILED, FAILED._replace(error="other"), Verdict.DIFFERENT, ("error",)),
        (DONE, DONE._replace(attempts=2), Verdict.WORSE, ("attempts",)),
        (DONE._replace(attempts=2), DONE, Verdict.BETTER, ("attempts",)),
        (DONE, DONE._replace(duration_ms=99_999), Verdict.SAME, ()),
    ],
)
async def test_verdicts(
    then: Outcome, now: Outcome, verdict: Verdict, fields: tuple[str, ...]
) -> None:
    assert compare(then, now) == (verdict, fields)


async def test_fields_that_may_differ() -> None:
    other = row(Status.DONE, attempt=1, result=msgspec.Raw(b"2"))
    assert compare(DONE, other, ["result"]).verdict is Verdict.SAME
    assert compare(DONE, FAILED, ["result"]).fields == ("status", "error", "attempts")


async def test_results_that_were_cut_are_told_by_their_size() -> None:
    cut = [row(Status.DONE, result=msgspec.Raw(b'"abc"'), result_bytes=n) for n in (900, 900, 901)]
    whole = row(Status.DONE, result=msgspec.Raw(b'"abc"'))
    verdicts = [compare(cut[0], other).verdict for other in (*cut[1:], whole)]
    assert verdicts == [Verdict.SAME, Verdict.DIFFERENT, Verdict.DIFFERENT]


async def test_what_has_an_outcome() -> None:
    assert [
        comparable(None if status is None else Job(status=status, submitted_at=AT))
        for status in (None, *Status)
    ] == [False, False, False, True, True, False]
    told = row(Status.DONE, attempt=1, started_at=AT, finished_at=AT + 5, result=msgspec.Raw(b"2"))
    assert msgspec.json.decode(msgspec.json.encode(told.told())) == {
        "status": "done",
        "result": 2,
        "error": None,
        "attempts": 1,
        "duration_ms": 5,
    }
