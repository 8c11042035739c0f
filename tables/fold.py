"""What a changelog partition says: the fold of its records, by fence.

Records of a changelog partition, told apart by their key:

- ``owner``: an *ownership record*. Whoever takes the partition over writes one with a fence
  higher than all before, and waits for its acknowledgement. From its place on, rows written
  under a lower fence are void: they come from a worker that doesn't know yet that it has
  lost the partition. ``released`` says that its owner was alive and let go on purpose.
- ``swept``: up to which place final rows have been removed, see ``Swept``.
- ``fired-…`` and ``since-…``, with a schedule's name: see ``Fired`` and ``Since``.
- anything else is a job's offset; the value is its row, or null once it is removed.

A row has the header ``prev``: the place of the job's row before it, or nothing if it is the first.
One that its owner writes once more, behind a void one, has the header ``again``: it stands
already, and is no transition.

Every record carries its writer's fence in its first header, ``fence`` (``{number} {instance}``),
so that the fold needs to read no value, and two workers that took the same number are two: the
greater instance is the higher fence. So fences have one order, wherever their records stand:
whatever compaction removes, a record that counted before counts still.

Its second header, ``seq``, is its number under that fence. A producer that gets no answer sends its
batch again on another connection, and the network may deliver the first copy seconds later, behind
what was written since. A record whose number isn't higher than the one before it is such a copy,
and void. (Kafka's idempotent producer would be the same, but not every broker has it.)
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from jobs.model import JobId
from log.reader import Record
from tables.marks import Marks, Swept, is_mark, read

logger = logging.getLogger(__name__)

OWNER_KEY = b"owner"
FENCE_HEADER = "fence"
SEQ_HEADER = "seq"
AGAIN_HEADER = "again"
PREV_HEADER = "prev"

_UNFINISHED = (b'{"status":"w', b'{"status":"e')  # how ``encode_row`` begins


class Fence(NamedTuple):
    """What rows are written under. ``instance`` is unique for each process. The higher one
    counts: by number, then by instance."""

    number: int
    instance: str

    def headers(self) -> list[tuple[str, bytes]]:
        """The first header of every record that is written under this fence."""
        return [(FENCE_HEADER, b"%d %s" % (self.number, self.instance.encode()))]


NOBODY = Fence(0, "")


class Ownership(msgspec.Struct, frozen=True):
    """The value of an ownership record; its fence is in the header, as everywhere."""

    worker: str
    released: bool = False


def row_key(job_id: JobId) -> bytes:
    """The key of a job's row: its id."""
    return b"%d-%d" % job_id


@dataclass
class Fold:
    """The state of one partition after its records so far.

    ``rows`` holds undecoded rows by offset. ``stale`` are keys whose last record in the log is
    void, or no worker's, so that compaction would keep the wrong one: the owner writes them again.
    ``next`` is where to read on. ``owned`` is the place and the time (epoch ms) of the ownership
    record that counts. ``changed``, when it is a set, gets the keys whose records counted.
    ``places`` are those of unfinished jobs' rows in the changelog, by offset. ``owners`` are the
    instances whose fences have come to count, one after another. ``seq`` is the number under the
    fence of the last record that counts; -1: not known.
    """

    partition: int
    fence: Fence = NOBODY
    released: bool = False
    rows: dict[int, bytes] = field(default_factory=dict)
    stale: set[bytes] = field(default_factory=set)
    marks: Marks = field(default_factory=Marks)
    next: int = 0
    owned: tuple[int, int] | None = None
    changed: set[bytes] | None = None
    places: dict[int, int] = field(default_factory=dict)
    owners: set[str] = field(default_factory=set)
    seq: int = -1

    @property
    def swept(self) -> Swept:
        """Up to where final rows have been removed."""
        return self.marks.swept

    def apply_all(self, records: Iterable[Record]) -> None:
        """Take in the next records of the log.

        Nearly all are rows under the fence that counts; the others are left to ``apply``.
        """
        rows, changed, places = self.rows, self.changed, self.places
        prefix = b"%d-" % self.partition
        fence = self.fence.headers()[0]
        for record in records:
            at, _, key, value, found = record
            place = key[len(prefix) :] if key is not None and key.startswith(prefix) else b""
            known = found and found[0] == fence
            seq = seq_of(found) if known else None
            late = seq is not None and seq <= self.seq
            if not known or late or not place.isdigit() or len(place) >= 20 or self.stale:
                self.apply(record)
                fence = self.fence.headers()[0]
                continue
            if seq is not None:
                self.seq = seq
            if value is None:
                rows.pop(int(place), None)
                places.pop(int(place), None)
            else:
                offset = int(place)
                rows[offset] = value
                if value.startswith(_UNFINISHED):
                    places[offset] = at
                elif offset in places:
                    del places[offset]
            if changed is not None and key is not None:
                changed.add(key)

    def apply(self, record: Record) -> None:
        """Take in the next record of the log."""
        key, value = record.key, record.value
        fence = fence_of(record)
        offset = row_offset(key, self.partition)
        ours = offset is not None or key == OWNER_KEY or (key is not None and is_mark(key))
        if fence is None or key is None or not ours:
            logger.warning(
                "partition %d: record %d of the changelog was not written by a worker; ignored",
                self.partition,
                record.offset,
            )
            if key is not None and ours:  # compaction would keep it in place of what stands
                self.stale.add(key)
            return
        seq = seq_of(record.headers)
        if fence != self.fence:
            if fence < self.fence:  # void
                self.stale.add(key)
                return
            # Mostly at its ownership record; at a row if that has been compacted away.
            self.fence, self.released, self.seq = fence, False, -1
            self.owners.add(fence.instance)
        elif seq is not None and seq <= self.seq:  # a copy that comes late: void, too
            self.stale.add(key)
            return
        if seq is not None:
            self.seq = seq
        self.stale.discard(key)
        if self.changed is not None:
            self.changed.add(key)
        if key == OWNER_KEY:
            self.owned = (record.offset, record.timestamp)
            self.released = (read(Ownership, value) or Ownership("")).released
        elif offset is None:
            self.marks.take(key, value)
        else:
            if value is None:
                self.rows.pop(offset, None)
            else:
                self.rows[offset] = value
            self.places.pop(offset, None)
            if value is not None and value.startswith(_UNFINISHED):
                self.places[offset] = record.offset


def fence_of(record: Record) -> Fence | None:
    """What a record was written under; ``None``: not by a worker."""
    for name, value in record.headers:
        if name == FENCE_HEADER:
            number, _, instance = (value or b"").partition(b" ")
            if number.isdigit() and len(number) < 20 and instance.isalnum():
                return Fence(int(number), instance.decode("ascii"))
    return None


def seq_of(headers: Sequence[tuple[str, bytes | None]]) -> int | None:
    """A record's number under its fence; ``None``: it has none."""
    if len(headers) < 2 or headers[1][0] != SEQ_HEADER:
        return None
    value = headers[1][1]
    return int(value) if value and value.isdigit() and len(value) < 20 else None


class Fences:
    """Whether records of one changelog partition count, in the order of its log, as in ``Fold``."""

    def __init__(self, fence: Fence = NOBODY, seq: int = -1) -> None:
        """``fence`` and ``seq``: those of the last record before."""
        self.fence = fence
        self._header: tuple[str, bytes | None] | None = None  # that says this fence
        self._seq = seq

    def counts(self, record: Record) -> bool:
        """Take in the next record."""
        headers = record.headers
        seq = seq_of(headers)
        if not headers or headers[0] != self._header:
            fence = fence_of(record)
            if fence is None or fence < self.fence:
                return False
            if fence != self.fence:
                self.fence, self._seq = fence, -1
            self._header = headers[0] if headers[0][0] == FENCE_HEADER else None
        if seq is not None:
            if seq <= self._seq:
                return False
            self._seq = seq
        return True


def row_offset(key: bytes | None, partition: int) -> int | None:
    """The offset of the job whose row has this key; ``None``: it is no row of the partition."""
    first, _, offset = (key or b"").partition(b"-")
    if first == b"%d" % partition and offset.isdigit() and len(offset) < 20:
        return int(offset)
    return None
