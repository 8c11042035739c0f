"""Rows that become durable: what is counted, and what is told."""

from __future__ import annotations

import itertools
import logging

import msgspec
import pytest

from jobs import state
from jobs.model import Job, JobRequest, Malformed, Status
from tables.tempo import Tempo
from tables.transitions import Transitions

REQUEST = JobRequest(data=msgspec.Raw(b"1"))
ADMITTED = state.admit(REQUEST, handler="echo", submitted_at=1_000)
STARTED = state.start(ADMITTED, now=3_500, worker="me")
DONE = state.returned(STARTED, now=4_000, result=msgspec.Raw(b"1"))
RERUN = state.failed(STARTED, now=4_000, error="no\nluck", delay_ms=500)
FAILED = state.failed(STARTED, now=4_000, error="no luck", delay_ms=0, again=False)
BROKEN = state.interrupted(STARTED, now=4_000, crashed=False)
REFUSED = state.reject(Malformed("not JSON", "who"), submitted_at=1_000, now=1_500)


def noted(*rows: Job | None, known: str = "echo") -> Transitions:
    seen = Transitions(Tempo(lambda: 1_000), lambda name: name == known)
    for before, after in itertools.pairwise(rows):
        if after is not None:
            seen.note(3, 7, before, after)
    return seen


def test_a_job_that_is_done() -> None:
    seen = noted(None, ADMITTED, STARTED, DONE)
    assert dict(seen.finished) == {("echo", Status.DONE): 1}
    assert (sum(seen.waited.counts), seen.waited.total_s) == (1, 2.5)
    assert not seen.reruns
    assert not seen.interruptions


def test_a_rerun_and_an_interruption_are_told_apart() -> None:
    again = state.start(RERUN, now=4_700, worker="me")
    seen = noted(None, ADMITTED, STARTED, RERUN, again)
    assert (dict(seen.reruns), dict(seen.interruptions)) == ({"echo": 1}, {})
    assert seen.waited.total_s == pytest.approx(2.5 + 0.2), "a rerun is due after its delay"
    seen = noted(None, ADMITTED, STARTED, BROKEN)
    assert (dict(seen.reruns), dict(seen.interruptions)) == ({}, {"echo": 1})
    assert not seen.finished


def test_names_that_nobody_registered_are_one() -> None:
    seen = noted(None, REFUSED)
    seen.note(0, 1, None, msgspec.structs.replace(REFUSED, handler="what"))
    assert dict(seen.finished) == {("unknown", Status.FAILED): 2}


def test_a_row_that_is_written_once_more_is_no_transition() -> None:
    assert not noted(DONE, DONE).finished


def told(caplog: pytest.LogCaptureFixture, *rows: Job | None, level: int) -> list[str]:
    with caplog.at_level(level, "tables.transitions"):
        noted(*rows)
    return [record.getMessage() for record in caplog.records]


def test_failures_are_told_at_info_in_a_line(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, None, ADMITTED, STARTED, RERUN, level=logging.INFO) == [
        "job 3-7 attempt 1 of 3 (echo) failed: no luck; it is run again"
    ]
    record = caplog.records[0]
    assert (record.__dict__["job"], record.__dict__["attempt"], record.__dict__["handler"]) == (
        "3-7",
        1,
        "echo",
    )


def test_what_fails_for_good_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, STARTED, FAILED, level=logging.INFO) == [
        "job 3-7 attempt 1 of 3 (echo) failed: no luck; it goes to the dead letters"
    ]


def test_each_transition_is_told_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, None, ADMITTED, STARTED, BROKEN, level=logging.DEBUG) == [
        "job 3-7 attempt 0 (echo): new -> waiting",
        "job 3-7 attempt 1 (echo): waiting -> executing",
        "job 3-7 attempt 1 (echo): executing -> waiting",
    ]
