"""``faust -A app schedules``: the schedules that a worker would have. It needs no broker."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from commands.base import PlainCommand
from jobs.schedules import SCHEDULES, Schedule

_COLUMNS = ("name", "cron", "timezone", "handler", "missed", "next")


class Schedules(PlainCommand):
    """List the schedules with their next times.

    \b
        $ JOBS_HANDLERS=myjobs faust -A app schedules
    """

    async def run(self) -> None:
        """Print them."""
        rows = described(SCHEDULES, time.time_ns() // 1_000_000)
        if self.json:
            self.out.json(rows)
        else:
            self.out.table(_COLUMNS, rows)


def described(schedules: Iterable[Schedule], now: int) -> list[dict[str, Any]]:
    """Each schedule, by name. ``now``: epoch ms."""
    return [
        {
            "name": each.name,
            "cron": each.cron,
            "timezone": each.timezone.key,
            "handler": each.handler,
            "missed": each.missed.value,
            "next": each.time(each.next(now)).isoformat(),
        }
        for each in sorted(schedules, key=lambda each: each.name)
    ]
