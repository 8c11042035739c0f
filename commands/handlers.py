"""``faust -A app handlers``: the job functions that a worker would have. It needs no broker."""

from __future__ import annotations

from typing import Any

from commands.base import PlainCommand
from jobs.durations import format_duration
from jobs.limits import Rate
from jobs.registry import HANDLERS, Handler, Registry

_COLUMNS = ("name", "kind", "timeout", "reruns", "limits", "module", "doc")
_UNITS = {1.0: "s", 60.0: "m", 3_600.0: "h"}


class Handlers(PlainCommand):
    """List the job functions with their options.

    \b
        $ JOBS_HANDLERS=myjobs faust -A app handlers
    """

    async def run(self) -> None:
        """Print them."""
        rows = described(HANDLERS)
        if self.json:
            self.out.json(rows)
        else:
            self.out.table(_COLUMNS, rows)


def described(registry: Registry) -> list[dict[str, Any]]:
    """Each handler with its options, by name; ``None`` where the worker's value holds."""
    return [_described(each) for each in sorted(registry, key=lambda each: each.name)]


def _described(handler: Handler) -> dict[str, Any]:
    limits = {
        "max_running": handler.max_running,
        "rate": None if handler.rate is None else _rate(handler.rate),
        "max_size": handler.max_size,
    }
    return {
        "name": handler.name,
        "kind": handler.kind.value,
        "timeout": None if handler.timeout_ns is None else format_duration(handler.timeout_ns),
        "reruns": handler.reruns,
        "rehearse": handler.rehearse,
        "limits": {name: value for name, value in limits.items() if value is not None},
        "module": handler.function.__module__,
        "doc": handler.help,
    }


def _rate(rate: Rate) -> str:
    return f"{rate.count}/{_UNITS[rate.seconds]}"
