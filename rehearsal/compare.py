"""Two outcomes of one job, held against each other: what is recorded, and what came of it now."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from jobs.model import Job, Status

FIELDS = ("status", "result", "error", "attempts")
"""What is compared. Durations are told, but two runs never take the same time."""


class Verdict(StrEnum):
    """What the new outcome is beside the recorded one."""

    SAME = "same"
    BETTER = "better"  # done where it was failed, or with fewer attempts
    WORSE = "worse"
    DIFFERENT = "different"  # another result, or another error
    NEW = "new"  # there is no recorded outcome: unfinished then, or its row is gone


class Outcome(NamedTuple):
    """What a row says of how its job ended. ``result`` is JSON in one form; ``duration_ms`` is the
    last attempt's."""

    status: str
    result: bytes | None
    error: str | None
    attempts: int
    duration_ms: int | None

    @classmethod
    def of(cls, job: Job) -> Outcome:
        """Read a row."""
        result = None if job.result is msgspec.UNSET else _canonical(job.result, job.result_bytes)
        took = None
        if job.started_at is not None and job.finished_at is not None and job.attempt > 0:
            took = job.finished_at - job.started_at
        return cls(job.status.value, result, job.error, job.attempt, took)

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        result = None if self.result is None else msgspec.Raw(self.result)
        return {**self._asdict(), "result": result}


class Compared(NamedTuple):
    """``fields``: those that differ."""

    verdict: Verdict
    fields: tuple[str, ...] = ()


def comparable(job: Job | None) -> bool:
    """Whether a row says what a handler came to. A cancel is a person's word."""
    return job is not None and job.status in (Status.DONE, Status.FAILED)


def compare(then: Outcome, now: Outcome, ignore: Collection[str] = ()) -> Compared:
    """Hold them against each other.

    Args:
        ignore: fields that may differ.
    """
    fields = tuple(
        name for name in FIELDS if name not in ignore and getattr(then, name) != getattr(now, name)
    )
    if not fields:
        return Compared(Verdict.SAME)
    if "status" in fields:
        better = now.status == Status.DONE
    elif fields == ("attempts",):
        better = now.attempts < then.attempts
    else:
        return Compared(Verdict.DIFFERENT, fields)
    return Compared(Verdict.BETTER if better else Verdict.WORSE, fields)


def _canonical(result: msgspec.Raw, whole_bytes: int | None) -> bytes:
    """The same bytes for the same value; one that was cut is told by its size, too."""
    value = msgspec.json.decode(result)
    if whole_bytes is not None:
        value = {"cut": value, "bytes": whole_bytes}
    return msgspec.json.encode(value, order="sorted")
