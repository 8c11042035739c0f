"""What the changelog says, by the rule in the documents and nothing else.

A record counts if its fence is the partition's current one, or a higher one (by number, then by
instance); then that fence is the current one. All others are void. Writers count their records of
a partition in the header ``seq``: of one fence, a record whose count is not higher than one before
it is a copy that a producer sent twice and that landed late, and void, too. Records without a count
stand where they are. A record without a readable fence, or whose key is neither a job of its
partition nor a name that the documents give, was written by somebody else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from tests.faults.checker.model import FINAL, Record
from tests.faults.checker.shown import BEFORE_ANY_ROW, differences, shown

_FENCE = re.compile(rb"(\d{1,19}) ([A-Za-z0-9]+)")
_COUNT = re.compile(rb"\d{1,19}")


class Fence(NamedTuple):
    """A writer's number, and its process."""

    number: int
    instance: str

    def __str__(self) -> str:
        return f"{self.number} {self.instance}"


NOBODY = Fence(0, "")


@dataclass
class Order:
    """What counts in one partition, as far as it is folded: the current fence, and the highest
    count under it; ``None`` while none of its records had one."""

    fence: Fence = NOBODY
    count: int | None = None

    def counts(self, fence: Fence, count: int | None) -> bool:
        """Whether the next record counts; if it does, it is taken in."""
        if fence < self.fence:
            return False
        if fence > self.fence:
            self.fence, self.count = fence, count
            return True
        if count is not None:
            if self.count is not None and count <= self.count:
                return False  # a copy
            self.count = count
        return True


class Row(NamedTuple):
    """A job's row in the log; ``doc`` is ``None`` where it is removed."""

    offset: int
    timestamp: int
    fence: Fence
    doc: dict[str, Any] | None

    @property
    def status(self) -> str:
        """Its state; ``gone`` once it is removed."""
        return "gone" if self.doc is None else str(self.doc["status"])

    @property
    def attempt(self) -> int:
        """Attempts that were begun and not interrupted."""
        return 0 if self.doc is None else int(self.doc.get("attempt", 0))

    @property
    def final(self) -> bool:
        """Whether its state never changes."""
        return self.status in FINAL

    def __str__(self) -> str:
        return f"offset {self.offset} (fence {self.fence}): {self.status}, attempt {self.attempt}"


class Owned(NamedTuple):
    """An ownership record that counts."""

    partition: int
    timestamp: int
    fence: Fence
    worker: str


@dataclass
class JobLog:
    """A job's rows in the order of the log, those that count and those that are void."""

    rows: list[Row] = field(default_factory=list)
    void: list[Row] = field(default_factory=list)
    removed_nothing: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """The next row that counts. One that removes what isn't there is kept apart: an owner
        says so, too, that nothing stands where a void row is the last."""
        nothing = row.doc is None and (not self.rows or self.rows[-1].doc is None)
        (self.removed_nothing if nothing else self.rows).append(row)

    @cached_property
    def shown(self) -> list[dict[str, Any]]:
        """Each row as answers show it; nothing for a removed one. Asked for after the fold."""
        return [{} if row.doc is None else shown(row.doc) for row in self.rows]

    @property
    def gone(self) -> bool:
        """Whether it has been removed at any time."""
        return any(row.doc is None for row in self.rows)

    @property
    def last(self) -> Row | None:
        """The row that stands."""
        return self.rows[-1] if self.rows else None

    @property
    def transitions(self) -> list[tuple[Row | None, Row]]:
        """Each row that counts with the one before it; rows that were only written again, so
        that compaction keeps them, are left out."""
        found: list[tuple[Row | None, Row]] = []
        before: Row | None = None
        for row in self.rows:
            if before is None or before.doc != row.doc:
                found.append((before, row))
            before = row
        return found

    @property
    def executing(self) -> list[Row]:
        """Rows of attempts that began."""
        return [row for _, row in self.transitions if row.status == "executing"]

    def positions(self, answer: dict[str, Any]) -> list[int]:
        """Which rows an answer may have shown: 1 is the first that counts, and 0 stands for the
        time before any row, when the record alone is known."""
        found = [
            i for i, told in enumerate(self.shown, 1) if told and not differences(told, answer)
        ]
        if all(answer.get(name, value) == value for name, value in BEFORE_ANY_ROW.items()):
            found.insert(0, 0)
        return found


@dataclass
class Folded:
    """All partitions. ``void_last``: partition and key of what compaction would keep wrongly.
    ``unreadable``: records of workers whose value can't be read, with the reason."""

    jobs: dict[str, JobLog] = field(default_factory=dict)
    owned: list[Owned] = field(default_factory=list)
    void_last: dict[tuple[int, bytes], Record] = field(default_factory=dict)
    void: int = 0
    foreign: int = 0
    unreadable: list[tuple[Record, str]] = field(default_factory=list)


def fold(records: Iterable[Record]) -> Folded:
    """Fold changelog records, given by partition and offset."""
    found = Folded()
    orders: dict[int, Order] = {}
    for record in records:
        (fence, count), key = _fence(record), record.key or b""
        job = _job(key, record.partition)
        if fence is None or (
            job is None
            and key not in (b"owner", b"swept")
            and not key.startswith((b"fired-", b"since-"))
        ):
            found.foreign += 1
            continue
        void = not orders.setdefault(record.partition, Order()).counts(fence, count)
        if void:
            found.void += 1
            found.void_last[record.partition, key] = record
        else:
            found.void_last.pop((record.partition, key), None)
        _take_in(found, record, fence, job, void)
    return found


def _take_in(found: Folded, record: Record, fence: Fence, job: str | None, void: bool) -> None:
    try:
        doc = None if record.value is None else json.loads(record.value)
        if doc is not None and not isinstance(doc, dict):
            raise ValueError("it is no JSON object")
        if job is not None:
            row = Row(record.offset, record.timestamp, fence, doc)
            _ = row.status, row.attempt  # what every row must have
            log = found.jobs.setdefault(job, JobLog())
            if void:
                log.void.append(row)
            else:
                log.add(row)
        elif record.key == b"owner" and not void:
            worker = str((doc or {}).get("worker", ""))
            found.owned.append(Owned(record.partition, record.timestamp, fence, worker))
    except (ValueError, KeyError, TypeError) as exc:
        found.unreadable.append((record, repr(exc)))


def _fence(record: Record) -> tuple[Fence | None, int | None]:
    """Whose record it is, and which one by its writer's count."""
    match = _FENCE.fullmatch(record.headers.get("fence", b""))
    if match is None:
        return None, None
    count = _COUNT.fullmatch(record.headers.get("seq", b""))
    return Fence(int(match[1]), match[2].decode()), None if count is None else int(count[0])


def _job(key: bytes, partition: int) -> str | None:
    match = re.fullmatch(rb"(\d+)-(\d{1,19})", key)
    return key.decode() if match and int(match[1]) == partition else None
