"""What a changelog partition says: the fold of its records, by fence.

Records of a changelog partition, told apart by their key:

- ``owner``: an *ownership record*. Whoever takes the partition over writes one with a fence
  higher than all before, and waits for its acknowledgement. From its place on, rows written
  under a lower fence are void: they come from a worker that doesn't know yet that it has
  lost the partition. ``released`` says that its owner was alive and let go on purpose.
- ``swept``: up to which place final rows have been removed, see ``Swept``.
- anything else is a job's offset; the value is its row, or null once it is removed.

Every record carries its writer's fence in the header ``fence`` (``{number} {instance}``), so
that the fold needs to read no value, and two workers that took the same number are two.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import msgspec

from jobs.model import JobId
from log.reader import Record

T = TypeVar("T")

logger = logging.getLogger(__name__)

OWNER_KEY = b"owner"
SWEPT_KEY = b"swept"
FENCE_HEADER = "fence"
_OURS = (OWNER_KEY, SWEPT_KEY)


class Fence(NamedTuple):
    """What rows are written under. ``instance`` is unique for each process."""

    number: int
    instance: str

    def headers(self) -> list[tuple[str, bytes]]:
        """The headers of every record that is written under this fence."""
        return [(FENCE_HEADER, b"%d %s" % (self.number, self.instance.encode()))]


NOBODY = Fence(0, "")


class Ownership(msgspec.Struct, frozen=True):
    """The value of an ownership record; its fence is in the header, as everywhere."""

    worker: str
    released: bool = False


class Swept(msgspec.Struct, frozen=True):
    """Rows of jobs before ``next`` that are missing were final and have been removed, if
    their record is not younger than ``at`` (epoch ms): so a place that is delivered again
    after its row is gone isn't run again, and a topic that was made again is not mistaken."""

    next: int = 0
    at: int = 0


def row_key(job_id: JobId) -> bytes:
    """The key of a job's row: its id."""
    return b"%d-%d" % job_id


@dataclass
class Fold:
    """The state of one partition after its records so far.

    ``rows`` holds undecoded rows by offset. ``stale`` are keys whose last record in the log
    is void, so that compaction would keep the wrong one: the owner writes them again.
    ``next`` is where to read on.
    """

    partition: int
    fence: Fence = NOBODY
    released: bool = False
    rows: dict[int, bytes] = field(default_factory=dict)
    stale: set[bytes] = field(default_factory=set)
    swept: Swept = field(default_factory=Swept)
    next: int = 0

    def apply(self, record: Record) -> None:
        """Take in the next record of the log."""
        key, value = record.key, record.value
        fence = _fence(record)
        offset = row_offset(key, self.partition)
        if fence is None or key is None or (offset is None and key not in _OURS):
            logger.warning(
                "partition %d: record %d of the changelog was not written by a worker; ignored",
                self.partition,
                record.offset,
            )
            return
        if fence != self.fence:
            if fence.number <= self.fence.number:  # void
                self.stale.add(key)
                return
            # Mostly at its ownership record; at a row if that has been compacted away.
            self.fence, self.released = fence, False
        self.stale.discard(key)
        if key == OWNER_KEY:
            self.released = _read(Ownership, value, Ownership("")).released
        elif key == SWEPT_KEY:
            self.swept = _read(Swept, value, self.swept)
        elif offset is not None:
            if value is None:
                self.rows.pop(offset, None)
            else:
                self.rows[offset] = value


def _fence(record: Record) -> Fence | None:
    for name, value in record.headers:
        if name == FENCE_HEADER:
            number, _, instance = value.partition(b" ")
            if number.isdigit() and len(number) < 20 and instance.isalnum():
                return Fence(int(number), instance.decode("ascii"))
    return None


def row_offset(key: bytes | None, partition: int) -> int | None:
    """The offset of the job whose row has this key; ``None``: it is no row of the partition."""
    first, _, offset = (key or b"").partition(b"-")
    if first == b"%d" % partition and offset.isdigit() and len(offset) < 20:
        return int(offset)
    return None


def _read(kind: type[T], value: bytes | None, otherwise: T) -> T:
    try:
        return msgspec.json.decode(value or b"", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return otherwise
