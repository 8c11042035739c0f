"""Rows from the changelog alone, as their owner has them: by the fold that a takeover uses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from inspection.briefs import Briefs, Glance, glance
from inspection.slices import Advance, Extent, no_one, scan
from jobs.model import JobId, Status
from log.reader import LogReader, Record
from tables.fold import Fold, row_offset

Wants = Callable[[JobId, Glance], bool]


def everything(job_id: JobId, row: Glance) -> bool:
    """For who wants all rows."""
    return True


@dataclass
class Folded:
    """A partition of the changelog, folded. ``fold`` has its fence and marks (its rows are taken
    out); ``briefs`` the rows; ``whole`` those of ``wanted`` jobs as they stand in the log, if
    asked for. ``unreadable`` rows count as not there."""

    partition: int
    fold: Fold
    briefs: Briefs = field(default_factory=Briefs)
    whole: dict[int, bytes] | None = None
    unreadable: list[int] = field(default_factory=list)
    last_at: int = 0  # when the last record was written, epoch ms
    _wants: Wants = everything

    def take(self, records: list[Record]) -> None:
        """Take in the next records of the log."""
        fold = self.fold
        changed: set[bytes] = set()
        fold.changed = changed
        fold.apply_all(records)
        if records:
            self.last_at = max(self.last_at, records[-1].timestamp)
        for key in changed:
            offset = row_offset(key, self.partition)
            if offset is None:
                continue
            value = fold.rows.get(offset)
            if value is None:
                self._drop(offset)
            else:
                self._put(offset, value)
        fold.rows.clear()

    def intake(self, start: int) -> int:
        """The first place of the jobs topic that intake may not have come to: all records from
        ``start`` up to it have rows, or had them. Jobs that were canceled before they were read
        have rows, too; they tell nothing.
        """
        offsets = self.briefs.offsets()
        while offsets and self.briefs.status(offsets[-1]) is Status.CANCELED:
            offsets.pop()
        return max(start, self.fold.swept.next, offsets[-1] + 1 if offsets else 0)

    def was_swept(self, record: Record) -> bool:
        """Whether a record with no row has had one."""
        swept = self.fold.swept
        return record.offset < swept.next and record.timestamp <= swept.at

    def _put(self, offset: int, value: bytes) -> None:
        try:
            row = glance(value)
        except msgspec.DecodeError:
            self._drop(offset)
            self.unreadable.append(offset)
            return
        wanted = self._wants(JobId(self.partition, offset), row)
        self.briefs.put(offset, row, wanted)
        if self.whole is not None:
            if wanted:
                self.whole[offset] = value
            else:
                self.whole.pop(offset, None)

    def _drop(self, offset: int) -> None:
        self.briefs.drop(offset)
        if self.whole is not None:
            self.whole.pop(offset, None)


async def folds(
    reader: LogReader,
    changelog: str,
    extents: Mapping[int, Extent],
    *,
    wants: Wants = everything,
    whole: bool = False,
    until: int | None = None,
    advance: Advance = no_one,
) -> AsyncIterator[Folded]:
    """Fold one partition after the other: what is held at a time is one partition's.

    Args:
        wants: of which rows more than the state is kept.
        whole: keep those rows whole, besides; they may be large.
        until: only what was written up to this time (epoch ms).

    Raises:
        KafkaError: the changelog can't be read.
    """
    for n, extent in sorted(extents.items()):
        folded = Folded(n, Fold(n), whole={} if whole else None, _wants=wants)
        async for records in scan(reader, changelog, n, extent, advance):
            if until is not None:
                records = [each for each in records if each.timestamp <= until]
            folded.take(records)
        yield folded
