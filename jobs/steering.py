"""What a handler raises to steer its job. No errors: control flow, apart from ``jobs.errors``.

Steering
├── Retry     run it again, after a delay of one's own choice
└── Discard   fail it now; a rerun can't mend it
"""

from __future__ import annotations

from jobs.durations import parse_duration


class Steering(Exception):
    """Root of what a handler raises on purpose."""


class Retry(Steering):
    """Fail this attempt and choose when the next one begins. It uses up a rerun.

    Args:
        delay: text such as ``"30s"``, or integer nanoseconds; the usual backoff if ``None``.
        reason: what stands in the job's ``error`` meanwhile.

    Raises:
        InvalidDuration: ``delay`` can't be read.
    """

    def __init__(self, reason: str = "", *, delay: int | str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay_ns = None if delay is None else parse_duration(delay)


class Discard(Steering):
    """Fail the job now, though reruns are left: the next attempt would fail the same way."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
