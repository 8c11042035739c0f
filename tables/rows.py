"""The rows of one partition, in the order of their places.

Nearly all rows of a worker are final and nobody asks for them again. So a row that comes from
the changelog may stay as the bytes that stand there, a third of its size, until it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Any

import msgspec
from sortedcontainers import SortedDict

from jobs.codec import decode_row
from jobs.model import Job, Status


class _Glance(msgspec.Struct, gc=False):
    status: Status


_glance = msgspec.json.Decoder(_Glance)


class Rows(MutableMapping[int, Job]):
    """Rows by offset. Those that are kept as bytes are final, and have been decoded before."""

    def __init__(self) -> None:
        self._rows: SortedDict[int, Job | bytes] = SortedDict()

    def __getitem__(self, offset: int) -> Job:
        """The row; from now on it is kept decoded, so that it is the same one each time."""
        row = self._rows[offset]
        if isinstance(row, bytes):
            row = self._rows[offset] = decode_row(row)
        return row

    def __setitem__(self, offset: int, job: Job) -> None:
        self._rows[offset] = job

    def __delitem__(self, offset: int) -> None:
        del self._rows[offset]

    def get(self, offset: int, default: Job | None = None) -> Job | None:  # type: ignore[override]
        """The row as ``[offset]`` gives it, or else the default."""
        row = self._rows.get(offset)
        return self[offset] if isinstance(row, bytes) else default if row is None else row

    def __contains__(self, offset: object) -> bool:
        return offset in self._rows

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"Rows({dict(self._rows)})"

    def look(self, offset: int) -> Job | None:
        """The row, for readers: bytes stay bytes, however many rows are looked at."""
        row = self._rows.get(offset)
        return decode_row(row) if isinstance(row, bytes) else row

    def wanted(
        self, offsets: Sequence[int], may: Callable[[bytes], object] | None
    ) -> Sequence[int]:
        """Those of these offsets whose rows may be wanted; of rows that are kept as bytes ``may``
        tells, since to decode all takes ten times as long."""
        if may is None:
            return offsets
        rows = self._rows
        return [
            offset
            for offset in offsets
            if (row := rows.get(offset)) is not None and (row.__class__ is not bytes or may(row))
        ]

    def status(self, offset: int) -> Status:
        """The status of a row. KeyError: there is none."""
        row = self._rows[offset]
        return _glance.decode(row).status if isinstance(row, bytes) else row.status

    def unfinished(self) -> list[tuple[int, Job]]:
        """All rows that aren't final."""
        return [
            (offset, row)
            for offset, row in self._rows.items()
            if not isinstance(row, bytes) and not row.status.final
        ]

    def fill(self, rows: Iterable[tuple[int, Job | bytes]]) -> None:
        """Take many rows in at once; bytes must be those of final rows."""
        self._rows.update(rows)

    def irange(self, *args: Any, **kwargs: Any) -> Iterator[int]:
        """Offsets of a range, as ``SortedDict.irange``."""
        return iter(self._rows.irange(*args, **kwargs))
