"""Durations as they come on the wire: integer nanoseconds, or text like ``"1m30s"``.

Nanoseconds are what the seed service sends (Go's ``time.Duration`` in JSON).
"""

from __future__ import annotations

import re
from fractions import Fraction

from jobs.errors import InvalidDuration

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3_600 * NS_PER_S,
    "d": 86_400 * NS_PER_S,
}
# Digits are bounded: text from outside must not become a huge number first.
_PART = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h|d)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern}){{1,8}}", re.ASCII)


def parse_duration(value: int | str) -> int:
    """Nanoseconds of ``3000000000``, ``"3s"``, ``"250ms"`` or ``"1m30s"``.

    Raises:
        InvalidDuration: the text has another form, or no unit; or it is neither (``3.0``, which
            may be meant as seconds).
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise InvalidDuration(
            f"{value!r} is no duration: say '3s', or give integer nanoseconds (3000000000)"
        )
    if not _WHOLE.fullmatch(value):
        shown = value if len(value) <= 40 else value[:37] + "..."
        raise InvalidDuration(
            f"{shown!r} is no duration: give integer nanoseconds, or text with units such as "
            "'3s', '250ms' or '1m30s'"
        )
    return sum(int(Fraction(number) * _UNITS_NS[unit]) for number, unit in _PART.findall(value))


def format_duration(ns: int) -> str:
    """The shortest text for people: ``3s``, ``250ms``, ``1.5s``, ``2h``."""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        size = _UNITS_NS[unit]
        if ns >= size:
            return f"{ns / size:.3f}".rstrip("0").rstrip(".") + unit
    return f"{ns}ns"
