"""Which jobs somebody asks for: by id, state, handler, time, error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from jobs.model import JobId, Status


class IdRange(NamedTuple):
    """Places of one partition, both ends included."""

    partition: int
    first: int
    last: int

    def has(self, job_id: JobId) -> bool:
        """Whether a job lies in it."""
        return job_id.partition == self.partition and self.first <= job_id.offset <= self.last

    def __str__(self) -> str:
        first, last = JobId(self.partition, self.first), JobId(self.partition, self.last)
        return str(first) if first == last else f"{first}..{last}"


@dataclass(frozen=True, slots=True)
class Span:
    """Times from ``since`` on, before ``until``; ``None``: no limit. Epoch milliseconds."""

    since: int | None = None
    until: int | None = None

    def __contains__(self, at: object) -> bool:
        return (
            isinstance(at, int)
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
        )

    def __bool__(self) -> bool:
        return self.since is not None or self.until is not None


class Row(Protocol):
    """What of a row is looked at: a ``Job`` has it, and so has a ``Brief``."""

    @property
    def status(self) -> Status: ...
    @property
    def handler(self) -> str: ...
    @property
    def submitted_at(self) -> int: ...
    @property
    def error(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs are asked for; what is empty lets all through. The span is of ``submitted_at``,
    which is the record's timestamp; ``error`` is in lower case (``str.casefold``)."""

    ids: tuple[IdRange, ...] = ()
    statuses: frozenset[Status] = frozenset()
    handlers: frozenset[str] = frozenset()
    span: Span = Span()
    error: str = ""

    def has_id(self, job_id: JobId) -> bool:
        """Whether a job lies in what is asked for."""
        return not self.ids or any(each.has(job_id) for each in self.ids)

    def partitions(self, count: int) -> list[int]:
        """Those of ``count`` partitions that have to be read."""
        named = {each.partition for each in self.ids}
        return [n for n in range(count) if not named or n in named]

    def matches(self, job_id: JobId, row: Row) -> bool:
        """Whether a job is asked for."""
        return (
            (not self.statuses or row.status in self.statuses)
            and (not self.handlers or row.handler in self.handlers)
            and (not self.span or row.submitted_at in self.span)
            and (not self.error or self.error in (row.error or "").casefold())
            and self.has_id(job_id)
        )

    def __bool__(self) -> bool:
        return self != Wanted()
