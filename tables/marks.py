"""What a changelog partition says besides rows and owners: marks, each with a key of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

SWEPT_KEY = b"swept"
FIRED_PREFIX = b"fired-"
SINCE_PREFIX = b"since-"
MAX_SKEW_MS = 60_000  # how far the clocks of two workers may be apart

T = TypeVar("T")


class Swept(msgspec.Struct, frozen=True):
    """Rows of jobs before ``next`` that are missing were final and have been removed, if
    their record is not younger than ``at`` (epoch ms): so a place that is delivered again
    after its row is gone isn't run again, and a topic that was made again is not mistaken."""

    next: int = 0
    at: int = 0

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return SWEPT_KEY


class Fired(msgspec.Struct, frozen=True):
    """The last run of a schedule that intake admitted: its scheduled time (epoch ms) and the
    offset of its job. A run for the same time or an earlier one, at another offset, is none.
    Only intake writes it, right before the job's row."""

    schedule: str
    at: int
    offset: int

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return FIRED_PREFIX + self.schedule.encode()

    def covers(self, at: int, offset: int, now: int) -> bool:
        """Whether a run for ``at``, whose record is at ``offset``, is one too many.

        A mark of the future doesn't count: a clock has been wrong, and is right again.
        """
        return at <= self.at <= now + MAX_SKEW_MS and (at, offset) != (self.at, self.offset)


class Since(msgspec.Struct, frozen=True):
    """When a schedule was first seen with this cron expression (epoch ms): times before that
    were never missed. Only the sender of scheduled jobs writes it."""

    schedule: str
    cron: str
    at: int

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return SINCE_PREFIX + self.schedule.encode()


Mark = Swept | Fired | Since
"""What is kept of a partition besides rows."""


@dataclass
class Marks:
    """The marks of a partition, as they stand."""

    swept: Swept = field(default_factory=Swept)
    fired: dict[str, Fired] = field(default_factory=dict)
    since: dict[str, Since] = field(default_factory=dict)

    def put(self, mark: Mark) -> None:
        """Take a mark in."""
        match mark:
            case Swept():
                self.swept = mark
            case Fired(schedule):
                self.fired[schedule] = mark
            case Since(schedule):
                self.since[schedule] = mark

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take in a mark's record; one that can't be read changes nothing."""
        kind = _kind(key)
        mark = None if kind is None else read(kind, value)
        if mark is not None and mark.key == key:
            self.put(mark)

    def records(self) -> dict[bytes, bytes]:
        """All of them as they stand in the log, by key."""
        marks: list[Mark] = [self.swept, *self.fired.values(), *self.since.values()]
        return {mark.key: msgspec.json.encode(mark) for mark in marks}

    def get(self, key: bytes) -> Mark | None:
        """The mark of this key, as it stands."""
        if key == SWEPT_KEY:
            return self.swept
        for prefix, marks in ((FIRED_PREFIX, self.fired), (SINCE_PREFIX, self.since)):
            if key.startswith(prefix):
                return marks.get(key.removeprefix(prefix).decode("utf-8", "replace"))
        return None


def is_mark(key: bytes) -> bool:
    """Whether a record of this key is a mark."""
    return _kind(key) is not None


def read(kind: type[T], value: bytes | None) -> T | None:
    """A record's value; ``None`` if it is no such thing."""
    try:
        return msgspec.json.decode(value or b"", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _kind(key: bytes) -> type[Swept] | type[Fired] | type[Since] | None:
    if key == SWEPT_KEY:
        return Swept
    if key.startswith(FIRED_PREFIX):
        return Fired
    return Since if key.startswith(SINCE_PREFIX) else None
