from __future__ import annotations

import pytest

from jobs.trace import traceparent, traceparent_of

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_traceparent_is_taken_as_it_is() -> None:
    assert traceparent(GOOD) == GOOD
    assert traceparent_of([("x", b"y"), ("traceparent", GOOD.encode())]) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        GOOD.upper(),
        GOOD + "\n",
        GOOD + "-00",
        f"ff{GOOD[2:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        "0" * 10_000,
    ],
)
def test_what_is_none_is_passed_over(text: str | None) -> None:
    assert traceparent(text) is None


def test_foreign_headers_do_no_harm() -> None:
    assert traceparent_of([("traceparent", None), ("a", None)]) is None
    assert traceparent_of([("traceparent", b"\xff\xfe")]) is None
    assert traceparent_of([]) is None
