"""What commands are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from commands.asked import parse_id, parse_ids, parse_span, parse_statuses, parse_wanted
from commands.base import CommandError
from inspection.wanted import IdRange, Span, Wanted
from jobs.model import Job, JobId, Status

JOB = Job(status=Status.FAILED, submitted_at=1_000, handler="mail", error="SMTP: Refused")


def test_ids_and_ranges_are_put_together_in_the_order_of_the_log() -> None:
    found = parse_ids(["3-1000..3-2000", "1-5,3-1500..3-2500", "3-2501", "3-7"])
    assert found == (IdRange(1, 5, 5), IdRange(3, 7, 7), IdRange(3, 1000, 2501))
    assert [str(each) for each in found] == ["1-5", "3-7", "3-1000..3-2501"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("3-x", "'3-x' is no job id"),
        ("3", "'3' is no job id"),
        ("3-1..", "'' is no job id"),
        ("3-1..4-2", "a range lies in one partition"),
        ("3-9..3-2", "3-9..3-2 is empty"),
        ("3-01", "'3-01' is no job id"),
    ],
)
def test_what_is_no_id_is_told(text: str, told: str) -> None:
    with pytest.raises(CommandError, match=told.replace(".", r"\.")):
        parse_ids([text])


def test_an_id() -> None:
    assert parse_id("3-1042") == JobId(3, 1042)
    with pytest.raises(CommandError, match="for example 3-1042"):
        parse_id("job 3")


def test_states() -> None:
    assert parse_statuses(["failed,canceled", "done"]) == {
        Status.FAILED,
        Status.CANCELED,
        Status.DONE,
    }
    with pytest.raises(CommandError, match="--state fialed: there are waiting, executing, done"):
        parse_statuses(["failed,fialed"])


def test_what_is_empty_is_not_everything() -> None:
    """A script's variable may have no value: ``--error "$TEXT"``."""
    cases: list[tuple[dict[str, Any], str]] = [
        ({"ids": [""]}, "id '' is empty"),
        ({"ids": ["3-1", ","]}, "id ',' is empty"),
        ({"states": [" "]}, "--state ' ' is empty"),
        ({"handlers": ["mail", ""]}, "--handler '' is empty"),
        ({"error": ""}, "--error is empty"),
    ]
    for given, told in cases:
        with pytest.raises(CommandError, match=told):
            parse_wanted(**given)
    assert parse_wanted(states=["failed,"]).statuses == {Status.FAILED}


def test_a_span_that_is_empty_is_told() -> None:
    with pytest.raises(CommandError, match="nothing lies between --since and --until"):
        parse_span("1m ago", "2m ago")
    with pytest.raises(CommandError, match="--until: '2999-01-01' is in the future"):
        parse_span("1m ago", "2999-01-01")


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(), True),
        (Wanted(ids=(IdRange(0, 3, 9),)), True),
        (Wanted(ids=(IdRange(1, 3, 9), IdRange(0, 6, 9))), False),
        (Wanted(statuses=frozenset({Status.FAILED, Status.DONE})), True),
        (Wanted(statuses=frozenset({Status.DONE})), False),
        (Wanted(handlers=frozenset({"mail"})), True),
        (Wanted(handlers=frozenset({"m"})), False),
        (Wanted(span=Span(1_000, 1_001)), True),
        (Wanted(span=Span(None, 1_000)), False),
        (Wanted(span=Span(1_001, None)), False),
        (Wanted(error="smtp: ref"), True),
        (Wanted(error="timeout"), False),
    ],
)
def test_which_jobs_are_wanted(wanted: Wanted, fits: bool) -> None:
    assert wanted.matches(JobId(0, 5), JOB) is fits


def test_all_that_is_given_must_fit() -> None:
    wanted = parse_wanted(["0-5"], states=["failed"], handlers=["mail,print"], error="REFUSED")
    assert wanted.matches(JobId(0, 5), JOB)
    assert not wanted.matches(JobId(0, 6), JOB)
    assert wanted.partitions(8) == [0]
    assert not parse_wanted()
    assert parse_wanted().partitions(3) == [0, 1, 2]
