"""Durations: integer nanoseconds, or text with units."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.durations import format_duration, parse_duration
from jobs.errors import InvalidDuration, InvalidRequest

MS, S = 1_000_000, 1_000_000_000


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        (0, 0),
        (-5, -5),  # bounds are the caller's
        (3_000_000_000, 3 * S),
        ("0s", 0),
        ("3s", 3 * S),
        ("250ms", 250 * MS),
        ("1m30s", 90 * S),
        ("1h", 3_600 * S),
        ("1d", 86_400 * S),
        ("1.5s", 1_500 * MS),
        ("0.1s", 100 * MS),
        ("0.000000001s", 1),
        ("0.3ns", 0),
        ("7ns", 7),
        ("2us", 2_000),
        ("2µs", 2_000),
        ("1d2h3m4s5ms6us7ns", 93_784_005_006_007),
        ("1s1s1s1s1s1s1s1s", 8 * S),
        ("999999999999999999s", 999_999_999_999_999_999 * S),
    ],
)
def test_what_is_a_duration(value: int | str, ns: int) -> None:
    assert parse_duration(value) == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "s",
        "3 s",
        " 3s",
        "3s ",
        "3s\n",
        "-3s",
        "+3s",
        "3S",
        "3sec",
        "3w",
        ".5s",
        "1.s",
        "1e3s",
        "1_0s",
        "٣s",
        "1000000000000000000s",
        "0.1234567891s",
        "1s" * 9,
        "nan",
        "inf",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidDuration, match="is no duration: give integer nanoseconds, or text"):
        parse_duration(text)


@pytest.mark.parametrize("value", [3.0, True, None, b"3s"])
def test_what_is_neither_number_nor_text_is_no_duration(value: Any) -> None:
    with pytest.raises(InvalidDuration, match=r"is no duration: say '3s', or give integer"):
        parse_duration(value)


def test_a_long_text_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_duration("9" * 100_000)
    assert len(str(caught.value)) < 200


@given(st.integers(0, 10**18 - 1), st.sampled_from(["ns", "us", "µs", "ms", "s", "m", "h", "d"]))
def test_whole_units_are_exact(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == number * parse_duration(f"1{unit}")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert parse_duration(text) >= 0
    except InvalidDuration:
        pass


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0ns"),
        (999, "999ns"),
        (1_000, "1us"),
        (250 * MS, "250ms"),
        (3 * S, "3s"),
        (1_500 * MS, "1.5s"),
        (90 * S, "1.5m"),
        (7_200 * S, "2h"),
        (7 * 86_400 * S, "7d"),
        (10 * S, "10s"),  # its zero is no decimal
    ],
)
def test_a_duration_for_people(ns: int, text: str) -> None:
    assert format_duration(ns) == text


@given(st.integers(0, 366 * 86_400 * S))
def test_the_text_for_people_can_be_read_and_is_near(ns: int) -> None:
    assert abs(parse_duration(format_duration(ns)) - ns) <= ns / 1_000
