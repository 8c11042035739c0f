"""How the jobs of a slice ended: their final rows, on disk, so that a million fit into memory.

Final rows never change, so the first that counts is the one. Rows that have been swept since are
told too, for as long as the changelog has them: the history of what a job came to is longer than
the time that it can be asked for.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable

from inspection.slices import SKEW_MS, Advance, Extent, extents, no_one, scan
from inspection.wanted import Span
from jobs.model import Status
from log.reader import LogReader, Record
from tables.fold import Fold, row_offset

FENCE_RECORDS = 1_000  # read before the place of interest, to know whose word counts there
LOOK_AT = 100  # records whose times are asked for, since one may have a wrong one
_NONE, _WAITING, _EXECUTING = range(3)  # instead of a place in the file
_FIRST = 3
_UNFINISHED = {_WAITING: Status.WAITING, _EXECUTING: Status.EXECUTING}
_LENGTH = 4  # bytes before each row in the file


class Ends:
    """The jobs of one partition with places in ``extent``."""

    def __init__(self, partition: int, extent: Extent) -> None:
        self.known = 0  # jobs of which anything is said
        self._partition = partition
        self._extent = extent
        self._fold = Fold(partition)
        self._places = array("Q", bytes(8 * (extent.stop - extent.start)))
        self._file = tempfile.TemporaryFile(prefix="jobs-")  # noqa: SIM115 - closed by `close`
        self._size = 0

    def take(self, records: Iterable[Record]) -> None:
        """Take in the next records of the changelog."""
        batch: list[Record] = []
        for record in records:
            if record.value is not None:
                batch.append(record)
                continue
            self._apply(batch)  # else a row that is removed in the same batch would not be seen
            batch = []
            self._fold.apply(record)
        self._apply(batch)

    def status(self, offset: int) -> Status | None:
        """The state of a job that isn't final; ``None``: it is, or nothing is known of it."""
        return _UNFINISHED.get(self._places[offset - self._extent.start])

    def was_swept(self, record: Record) -> bool:
        """Whether a job of which nothing is known was final, and its row has been removed."""
        swept = self._fold.swept
        return record.offset < swept.next and record.timestamp <= swept.at

    def row(self, offset: int) -> bytes | None:
        """A job's final row."""
        place = self._places[offset - self._extent.start]
        if place < _FIRST:
            return None
        self._file.seek(place - _FIRST)
        return self._file.read(int.from_bytes(self._file.read(_LENGTH)))

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()

    def _apply(self, records: list[Record]) -> None:
        changed: set[bytes] = set()
        self._fold.changed = changed
        self._fold.apply_all(records)
        for key in changed:
            offset = row_offset(key, self._partition)
            if offset is None or not self._extent.start <= offset < self._extent.stop:
                continue
            value = self._fold.rows.get(offset)
            if value is not None:
                self._put(offset - self._extent.start, value)
        self._fold.rows.clear()

    def _put(self, index: int, value: bytes) -> None:
        self.known += self._places[index] == _NONE
        if value.startswith(b'{"status":"w'):
            self._places[index] = _WAITING
        elif value.startswith(b'{"status":"e'):
            self._places[index] = _EXECUTING
        else:
            self._file.seek(self._size)
            self._file.write(len(value).to_bytes(_LENGTH) + value)
            self._places[index] = self._size + _FIRST
            self._size += _LENGTH + len(value)


async def ends_of(
    reader: LogReader,
    topics: tuple[str, str],
    partition: int,
    extent: Extent,
    advance: Advance = no_one,
) -> Ends:
    """Read how the jobs of a slice ended. Close what it gives.

    Args:
        topics: jobs, and the changelog.

    Raises:
        KafkaError: they can't be read.
    """
    jobs, changelog = topics
    whole = (await extents(reader, changelog, [partition]))[partition]
    start = await _start(reader, jobs, changelog, partition, extent, whole)
    found = await _read(reader, changelog, partition, extent, whole._replace(start=start), advance)
    if start > whole.start and found.known < extent.stop - extent.start:
        # Some are missing: those that nobody has read; or times were wrong.
        found.close()
        found = await _read(reader, changelog, partition, extent, whole, advance)
    return found


async def _start(
    reader: LogReader, jobs: str, changelog: str, partition: int, extent: Extent, whole: Extent
) -> int:
    """Where the changelog begins to speak of a slice, by the times of its first records."""
    first = extent.start
    if first == await reader.start(jobs, partition):
        return whole.start
    records = await reader.read(jobs, partition, first, min(first + LOOK_AT, extent.stop))
    if not records:
        return whole.start
    since = min(record.timestamp for record in records) - SKEW_MS
    found = await extents(reader, changelog, [partition], Span(since=max(0, since)))
    return max(whole.start, found[partition].start - FENCE_RECORDS)


async def _read(
    reader: LogReader,
    changelog: str,
    partition: int,
    extent: Extent,
    part: Extent,
    advance: Advance,
) -> Ends:
    made = Ends(partition, extent)
    try:
        async for records in scan(reader, changelog, partition, part, advance):
            made.take(records)
    except BaseException:
        made.close()
        raise
    return made
