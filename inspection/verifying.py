"""Whether all that was put on the jobs topic is known to the changelog, and goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from inspection.briefs import Brief
from inspection.folds import Folded
from jobs.durations import NS_PER_MS, format_duration
from jobs.model import JobId, Status
from jobs.times import format_time
from log.reader import Record

MISSING, OTHER, STUCK = "missing", "other record", "stuck"
DIFFERENT, UNSERVED = "different", "unserved"


class Problem(NamedTuple):
    """What is wrong. ``job_id``: ``None`` if it is of a whole partition."""

    kind: str
    partition: int
    job_id: JobId | None
    detail: str


@dataclass(frozen=True, slots=True)
class Limits:
    """``now``: epoch ms. ``patience_ms``: how long something may be late before it counts as
    stuck. ``timeout_ns``: of a job that names none."""

    now: int
    patience_ms: int
    timeout_ns: int


class Records:
    """The jobs topic of one partition, held against its rows."""

    def __init__(self, folded: Folded, start: int, committed: int | None, limits: Limits) -> None:
        """``start``: the first place; ``committed``: what the group has committed."""
        self.jobs = 0
        self.unread = 0
        self.missing: dict[int, int] = {}  # offset → timestamp
        self._folded = folded
        self._limits = limits
        self._passed = max(folded.intake(start), committed or 0)
        self._oldest_unread: Record | None = None

    def take(self, records: Iterable[Record]) -> Iterable[Problem]:
        """The next records; what is wrong with their rows."""
        folded, n = self._folded, self._folded.partition
        for record in records:
            self.jobs += 1
            submitted_at = folded.briefs.submitted(record.offset)
            if submitted_at is not None:
                if submitted_at != record.timestamp:
                    yield Problem(
                        OTHER,
                        n,
                        JobId(n, record.offset),
                        f"its row is of a record of {format_time(submitted_at)}, and this one is "
                        f"of {format_time(record.timestamp)}: was the topic made again? A worker "
                        "takes it for a new job when it reads it",
                    )
            elif record.offset >= self._passed:
                self.unread += 1
                if self._oldest_unread is None:
                    self._oldest_unread = record
            elif not folded.was_swept(record):
                self.missing[record.offset] = record.timestamp

    def look_again(self) -> Iterable[Problem]:
        """Those that have no row still, once the changelog has been read on: a row may come late
        when the producer had to send it twice."""
        n = self._folded.partition
        for offset, at in self.missing.items():
            if offset in self._folded.briefs or self._folded.was_swept(
                Record(offset, at, None, None, ())
            ):
                continue
            yield Problem(
                MISSING,
                n,
                JobId(n, offset),
                f"it was submitted at {format_time(at)}, intake is past its place, and it has no "
                "row: it will never run. Submit it again (`faust -A app replay` has its record), "
                "and please report this",
            )

    def beyond(self, stop: int) -> Iterable[Problem]:
        """Rows of jobs whose records aren't there yet, so to say."""
        n = self._folded.partition
        found = [offset for offset in self._folded.briefs.offsets() if offset >= stop]
        if found:
            yield Problem(
                OTHER,
                n,
                JobId(n, found[0]),
                f"{len(found)} rows from here on have no records, the topic ends at {stop}: was it "
                "made again, or have brokers lost records?",
            )

    def stuck(self) -> Iterable[Problem]:
        """Jobs that should have gone on long ago."""
        folded, n, limits = self._folded, self._folded.partition, self._limits
        silent = limits.now - folded.last_at > limits.patience_ms
        for offset, row in folded.briefs.wanted():
            if not row.status.final:
                why = _late(row, limits, silent)
                if why is not None:
                    yield Problem(STUCK, n, JobId(n, offset), why)
        oldest = self._oldest_unread
        if silent and oldest is not None and oldest.timestamp < limits.now - limits.patience_ms:
            yield Problem(
                STUCK,
                n,
                JobId(n, oldest.offset),
                f"it and {self.unread - 1} behind it wait to be read since "
                f"{format_time(oldest.timestamp)}: does a worker own partition {n}?",
            )


def _late(row: Brief, limits: Limits, silent: bool) -> str | None:
    timeout_ms = (row.timeout_ns or limits.timeout_ns) // NS_PER_MS
    begun = row.started_at if row.status is Status.EXECUTING else None
    if begun is not None and begun + timeout_ms + limits.patience_ms < limits.now:
        return (
            f"executing since {format_time(begun)}, longer than its timeout of "
            f"{format_duration(timeout_ms * NS_PER_MS)}: is {row.worker or 'its worker'} alive?"
        )
    due = row.next_attempt_at or row.finished_at or row.submitted_at
    if row.status is Status.WAITING and silent and due + limits.patience_ms < limits.now:
        return (
            f"waiting, and due since {format_time(due)}; nothing has been written to its partition "
            "since: does a worker own it, and has it free slots?"
        )
    return None
