"""Rows as they are listed, each in some hundred bytes, so that a million fit into memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

import msgspec

from jobs.codec import decode_as
from jobs.errors import InvalidId
from jobs.model import JobId, Status

MOST_TEXTS = 50_000  # that are kept once for all rows that have them
LONGEST = 400  # characters of an error
LONGEST_OWN = 80  # of an error that isn't kept so


class Glance(msgspec.Struct, gc=False):
    """What a list shows of a row; the rest isn't even decoded."""

    status: Status
    submitted_at: int
    handler: str = ""
    attempt: int = 0
    max_attempts: int = 3
    started_at: int | None = None
    finished_at: int | None = None
    next_attempt_at: int | None = None
    error: str | None = None
    worker: str | None = None
    replay_of: str | None = None
    timeout_ns: int | None = None


_decoder = msgspec.json.Decoder(Glance)


def glance(value: bytes) -> Glance:
    """Read a row.

    Raises:
        msgspec.DecodeError: the bytes are none.
    """
    return decode_as(_decoder, value)


class Brief(NamedTuple):
    """A row in brief; times are epoch milliseconds. A long ``error`` is cut."""

    status: Status
    submitted_at: int
    handler: str
    attempt: int
    max_attempts: int
    started_at: int | None
    finished_at: int | None
    next_attempt_at: int | None
    error: str | None
    worker: str | None
    replay_of: str | None
    timeout_ns: int | None


_STATUSES = tuple(Status)
_NUMBER = {status: n for n, status in enumerate(_STATUSES)}
_BARE = {status: bytes([n]) for n, status in enumerate(_STATUSES)}  # Python keeps one of each
_NONE = -1
_packed = Struct("<BHHqqqqqiiiiq")
_submitted, _BEFORE_SUBMITTED = Struct("<q"), 5  # bytes of it


class Briefs:
    """The rows of one partition, by offset. Of those that nobody wants, the state is kept alone:
    they are counted."""

    def __init__(self) -> None:
        self._rows: dict[int, bytes] = {}
        self._texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def __contains__(self, offset: object) -> bool:
        return offset in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, offset: int, row: Glance, wanted: bool = True) -> None:
        """A job has this row now."""
        if not wanted:
            self._rows[offset] = _BARE[row.status]
            return
        error, own = _NONE, b""
        if row.error is not None:
            error = self._number(_cut(row.error, LONGEST))
            if error == _NONE:
                own = _cut(row.error, LONGEST_OWN).encode("utf-8", "replace")
        partition, place = _NONE, _NONE
        if row.replay_of is not None:
            try:
                partition, place = JobId.parse(row.replay_of)
            except InvalidId:
                pass  # it stands in the record as anybody may write it
        self._rows[offset] = (
            _packed.pack(
                _NUMBER[row.status],
                min(row.attempt, 65_535),
                min(row.max_attempts, 65_535),
                _time(row.submitted_at),
                _time(row.started_at),
                _time(row.finished_at),
                _time(row.next_attempt_at),
                _time(row.timeout_ns),
                self._number(row.handler),
                _NONE if row.worker is None else self._number(row.worker),
                error,
                partition,
                place,
            )
            + own
        )

    def drop(self, offset: int) -> None:
        """A job's row is removed."""
        self._rows.pop(offset, None)

    def status(self, offset: int) -> Status:
        """The state of a job. KeyError: it has no row."""
        return _STATUSES[self._rows[offset][0]]

    def submitted(self, offset: int) -> int | None:
        """``submitted_at`` of a row that somebody wants; ``None``: there is none."""
        row = self._rows.get(offset)
        return None if row is None else int(_submitted.unpack_from(row, _BEFORE_SUBMITTED)[0])

    def counts(self, *, all: bool = True) -> Counter[Status]:
        """Rows by state: all of them, or those that somebody wants."""
        first = Counter(row[0] for row in self._rows.values() if all or len(row) > 1)
        return Counter({_STATUSES[n]: count for n, count in first.items()})

    def offsets(self) -> list[int]:
        """Of all rows, in order."""
        return sorted(self._rows)

    def wanted(self) -> Iterator[tuple[int, Brief]]:
        """Those that somebody wants, in the order of the log."""
        for offset in sorted(o for o, row in self._rows.items() if len(row) > 1):
            yield offset, self[offset]

    def __getitem__(self, offset: int) -> Brief:
        row = self._rows[offset]
        status, attempt, most, submitted, started, finished, due, timeout, *texts, p, place = (
            _packed.unpack_from(row)
        )
        handler, worker, error = texts
        own = row[_packed.size :]
        return Brief(
            _STATUSES[status],
            submitted,
            self._texts[handler] if handler != _NONE else "…",
            attempt,
            most,
            _or_none(started),
            _or_none(finished),
            _or_none(due),
            own.decode() if own else self._text(error),
            self._text(worker),
            None if p == _NONE else f"{p}-{place}",
            _or_none(timeout),
        )

    def get(self, offset: int) -> Brief | None:
        """A row that somebody wants; ``None``: there is none."""
        return self[offset] if offset in self._rows else None

    def _number(self, text: str) -> int:
        number = self._numbers.get(text)
        if number is None:
            if len(self._texts) >= MOST_TEXTS:
                return _NONE
            number = self._numbers[text] = len(self._texts)
            self._texts.append(text)
        return number

    def _text(self, number: int) -> str | None:
        return None if number == _NONE else self._texts[number]


def _time(ms: int | None) -> int:
    # A record's timestamp is whatever its producer wrote; it has 64 bits on the wire.
    return _NONE if ms is None else max(-(2**63), min(ms, 2**63 - 1))


def _or_none(ms: int) -> int | None:
    return None if ms == _NONE else ms


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
