"""Times as people write them, and as we show them: RFC 3339 in UTC, to the millisecond."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from jobs.durations import NS_PER_MS, parse_duration
from jobs.errors import InvalidDuration, InvalidTime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)
_MS_FROM = 100_000_000_000  # as seconds it is in the year 5138, as milliseconds in 1973


def parse_time(text: str, now: int) -> int:
    """Epoch milliseconds of ``2026-11-27T10:00Z``, ``10m ago`` (or ``10m``), an epoch (seconds or
    milliseconds), or ``now``. A time with no zone is in UTC, as all that we show.

    Raises:
        InvalidTime: it is none, or in the future.
    """
    at = _parse(text.strip(), now)
    if at is None:
        shown = text if len(text) <= 40 else text[:37] + "..."
        raise InvalidTime(
            f"{shown!r} is no time: give one such as 2026-11-27T10:00Z, '10m ago' or an epoch"
        )
    if at > now:
        raise InvalidTime(f"{text!r} is in the future: it is {format_time(now)} now")
    return at


def _parse(text: str, now: int) -> int | None:
    if text == "now":
        return now
    if _NUMBER.fullmatch(text):
        number = float(text)
        return round(number if number >= _MS_FROM else number * 1000)
    try:
        return max(0, now - parse_duration(text.removesuffix("ago").strip()) // NS_PER_MS)
    except InvalidDuration:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    try:
        return max(0, (at - _EPOCH) // timedelta(milliseconds=1))
    except OverflowError:
        return None


def format_time(ms: int | None) -> str | None:
    """Epoch milliseconds as RFC 3339 in UTC.

    ``None`` for what no calendar has: a record's timestamp is whatever its producer wrote.
    """
    if ms is None or ms < 0:  # -1 is Kafka's "none"
        return None
    try:
        at = _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
