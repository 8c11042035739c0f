"""``faust -A app schedules``: the schedules that a worker would have. It needs no broker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from faust.cli import AppCommand, option

from commands.listing import as_table
from jobs.schedules import SCHEDULES, Schedule
from worker.app import JobsApp

_COLUMNS = ("name", "cron", "timezone", "handler", "missed", "next")


def attach(app: JobsApp) -> None:
    """Add the command."""

    @app.command(option("--json", "as_json", is_flag=True, help="JSON instead of a table."))
    async def schedules(self: AppCommand, as_json: bool) -> None:
        """List the schedules with their next times."""
        rows = described(SCHEDULES, time.time_ns() // 1_000_000)
        print(json.dumps(rows, indent=2) if as_json or self.json else as_table(_COLUMNS, rows))


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
