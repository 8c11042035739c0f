"""Rows as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.model import Job, JobId, Status
from tests.web_unit.fakes import decoded, row
from web import render

ID = JobId(3, 1042)
END_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z


def shown(job_id: JobId, job: Job) -> Any:
    return decoded(msgspec.json.encode(render.whole(job_id, job)))


@given(st.integers(0, END_MS))
def test_times_are_rfc_3339_to_the_millisecond(ms):
    text = render.time(ms)
    assert text is not None
    assert len(text) == len("1970-01-01T00:00:00.000Z")
    delta = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    assert delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000 == ms


@pytest.mark.parametrize("ms", [None, -1, END_MS + 1, 2**63 - 1])
def test_a_time_that_no_calendar_has_is_null(ms):
    assert render.time(ms) is None


def test_a_whole_job():
    job = row(attempt=1, started_at=2, finished_at=3, worker="a:1", result=msgspec.Raw(b'{"x":1}'))
    assert shown(ID, job) == {
        "id": "3-1042",
        "status": "done",
        "handler": "echo",
        "attempt": 1,
        "max_attempts": 3,
        "submitted_at": "1970-01-01T00:00:01.000Z",
        "started_at": "1970-01-01T00:00:00.002Z",
        "finished_at": "1970-01-01T00:00:00.003Z",
        "next_attempt_at": None,
        "error": None,
        "result": {"x": 1},
        "progress": None,
        "worker": "a:1",
    }


def test_a_cut_result_says_so():
    body = shown(ID, row(result=msgspec.Raw(b'"pre"'), result_bytes=9_000_000))
    assert (body["result_truncated"], body["result_bytes"]) == (True, 9_000_000)


def test_a_list_shows_no_results():
    body = msgspec.json.encode(render.entry(ID, row(result=msgspec.Raw(b"1"))))
    assert "result" not in decoded(body)


def test_text_that_json_cannot_hold_does_not_spoil_the_answer():
    job = row(Status.FAILED, handler="", error="no file \udcff")
    body = shown(ID, job)
    assert body["error"] == "no file ?"
    assert body["handler"] is None
