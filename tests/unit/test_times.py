"""Times as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidTime
from jobs.times import format_time, parse_time

NOW = 1_795_000_000_123


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("now", NOW),
        ("10m ago", NOW - 600_000),
        ("10m", NOW - 600_000),
        ("1d12h ago", NOW - 129_600_000),
        ("2026-11-18T10:26:40Z", 1_794_997_600_000),
        ("2026-11-18T12:26:40+02:00", 1_794_997_600_000),
        ("2026-11-18 10:26:40.5", 1_794_997_600_500),
        ("2026-11-18", 1_794_960_000_000),
        ("1794997600", 1_794_997_600_000),
        ("1794997600.25", 1_794_997_600_250),
        ("1794997600123", 1_794_997_600_123),
        ("0", 0),
        (" 1m ago ", NOW - 60_000),
    ],
)
def test_a_time(text: str, at: int) -> None:
    assert parse_time(text, NOW) == at


@pytest.mark.parametrize("text", ["", "ago", "yesterday", "10", "-5m", "10:00", "2026-13-01"])
def test_what_is_none_is_told(text: str) -> None:
    if text == "10":
        assert parse_time(text, NOW) == 10_000  # an epoch
        return
    with pytest.raises(InvalidTime, match="is no time: give one such as"):
        parse_time(text, NOW)


@pytest.mark.parametrize("text", ["2026-11-18T12:00:00Z", "1795000001", "9999-12-31"])
def test_the_future_is_told_with_the_time_it_is(text: str) -> None:
    with pytest.raises(InvalidTime, match=r"is in the future: it is 2026-11-18T11:06:40\.123Z now"):
        parse_time(text, NOW)


@given(st.integers(0, NOW))
def test_what_is_shown_can_be_asked_for(at: int) -> None:
    assert parse_time(format_time(at) or "", NOW) == at


@pytest.mark.parametrize("ms", [None, -1, 10**18])
def test_what_no_calendar_has_is_none(ms: int | None) -> None:
    assert format_time(ms) is None
