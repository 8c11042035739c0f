"""What a handler raises to steer its job. No errors: control flow, apart from ``jobs.errors``.

Steering
├── Retry     run it again, after a delay of one's own choice
└── Discard   fail it now; a rerun can't mend it
"""

from __future__ import annotations

from jobs.codec import MAX_DELAY_NS
from jobs.durations import format_duration, parse_duration
from jobs.errors import InvalidDuration


class Steering(Exception):
    """Root of what a handler raises on purpose."""


class Retry(Steering):
    """Fail this attempt and choose when the next one begins. It uses up a rerun.

    Args:
        delay: text such as ``"30s"``, or integer nanoseconds, 366 days at most; the usual
            backoff if ``None``.
        reason: what stands in the job's ``error`` meanwhile.

    Raises:
        ValueError: ``delay`` can't be read, is negative or too long. In a handler that is an
            exception like any other: the attempt fails with its text.
    """

    def __init__(self, reason: str = "", *, delay: int | str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay_ns = None if delay is None else _delay_ns(delay)


class Discard(Steering):
    """Fail the job now, though reruns are left: the next attempt would fail the same way."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _delay_ns(delay: int | str) -> int:
    try:
        ns = parse_duration(delay)
    except InvalidDuration as exc:
        raise ValueError(f"Retry's delay: {exc}") from None
    if not 0 <= ns <= MAX_DELAY_NS:
        raise ValueError(
            f"Retry's delay must be at least 0 and at most {format_duration(MAX_DELAY_NS)}, "
            f"not {delay!r} (an integer is nanoseconds)"
        )
    return ns
