"""Schedules: handlers that get a job by the clock. Pure: the time is given, and nothing is sent."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim

from jobs.registry import Registry

CHANGE_MS = 3 * 3_600_000  # no clock is changed by more


class Missed(StrEnum):
    """What becomes of times that passed while no worker was there."""

    SKIP = "skip"  # nothing
    LAST = "last"  # the last of them is run, late


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a handler gets a job by the clock, and with which data.

    ``grace_ms``: a time that is noticed later than this was missed.
    """

    name: str
    cron: str
    timezone: ZoneInfo
    handler: str
    missed: Missed
    grace_ms: int
    data: Callable[[datetime], Any]

    @property
    def rule(self) -> str:
        """What its times depend on."""
        return f"{self.cron} {self.timezone.key}"

    def time(self, at: int) -> datetime:
        """Epoch ms on this schedule's clock."""
        return datetime.fromtimestamp(at / 1000, UTC).astimezone(self.timezone)

    def next(self, after: int) -> int:
        """The first of its times after ``after``; epoch ms, both."""
        return _ms(next(CronSim(self.cron, self.time(after))))

    def due(self, after: int, now: int) -> Due:
        """Its times after ``after`` and not after ``now``; epoch ms, all."""
        edge = max(after, now - self.grace_ms)
        times = []
        for at in map(_ms, CronSim(self.cron, self.time(edge))):
            if at > now:
                break
            times.append(at)
        return Due(times, None if edge == after else self._last(after, edge))

    def _last(self, after: int, until: int) -> int | None:
        """The last of its times after ``after`` and not after ``until``."""
        second_after = (until // 1000 + 1) * 1000  # the library looks at whole seconds only
        near = _ms(next(CronSim(self.cron, self.time(second_after), reverse=True)))
        # Backwards it disagrees with itself in the hours in which clocks change; forwards counts.
        found = None
        for at in map(_ms, CronSim(self.cron, self.time(max(after, near - CHANGE_MS)))):
            if at > until:
                return found
            found = at
        return found

    def partition(self, count: int) -> int:
        """Which of ``count`` partitions its jobs go to; that partition's owner sends them."""
        return zlib.crc32(self.name.encode()) % count


class Due(NamedTuple):
    """What is due of a schedule: ``times`` within its grace, in order, and ``late``: the last
    one that was missed, if any was."""

    times: list[int]
    late: int | None


class Schedules:
    """Schedules by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Schedule] = {}

    def add(self, schedule: Schedule) -> None:
        """Put a schedule in.

        Raises:
            ValueError: the name is taken.
        """
        if schedule.name in self._by_name:
            raise ValueError(
                f"a schedule named {schedule.name!r} is there already: give this one name=…"
            )
        self._by_name[schedule.name] = schedule

    def __iter__(self) -> Iterator[Schedule]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def check(self, registry: Registry) -> None:
        """Once all modules are imported: each schedule's handler must be there.

        Raises:
            ValueError: one isn't.
        """
        for each in self:
            if registry.get(each.handler) is None:
                raise ValueError(
                    f"schedule {each.name!r}: no handler is named {each.handler!r} "
                    f"(known: {registry.names()})"
                )


SCHEDULES = Schedules()
"""The schedules of this process; ``@schedule`` fills it on import."""


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
