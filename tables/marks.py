"""What a changelog partition says besides rows and owners: marks, each with a key of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

SWEPT_KEY = b"swept"
FIRED_PREFIX = b"fired-"
SINCE_PREFIX = b"since-"
MEMORY = 60  # runs
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
    """The runs of a schedule that intake has admitted: the newest one's scheduled time (epoch ms)
    and the offset of its job, and the times of the last ``MEMORY`` in order of time. A run for one
    of these, or for an earlier time, is one too many. They need not come in order: a clock may
    be wrong, and right again. Only intake writes it, right before the job's row."""

    schedule: str
    at: int
    offset: int
    times: tuple[int, ...] = ()

    @classmethod
    def after(cls, last: Fired | None, schedule: str, at: int, offset: int) -> Fired:
        """The mark when one more run is admitted."""
        times = sorted({*(() if last is None else last.times), at})
        return cls(schedule, at, offset, tuple(times[-MEMORY:]))

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return FIRED_PREFIX + self.schedule.encode()

    def has(self, at: int) -> bool:
        """Whether the run for ``at`` has been admitted, or is too old to tell."""
        return at in self.times or (len(self.times) >= MEMORY and at < self.times[0])

    def covers(self, at: int, offset: int) -> bool:
        """Whether a run for ``at``, whose record is at ``offset``, is one too many."""
        return self.has(at) and (at, offset) != (self.at, self.offset)

    def until(self, now: int) -> int | None:
        """The newest of its times that isn't in the future; epoch ms."""
        return max((at for at in self.times if at <= now + MAX_SKEW_MS), default=None)


class Since(msgspec.Struct, frozen=True):
    """When a schedule was first seen with this rule, its cron expression and zone (epoch ms):
    times before that were never missed. Only the sender of scheduled jobs writes it."""

    schedule: str
    rule: str
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
