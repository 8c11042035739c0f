"""Running jobs of the log again, for `replay` and `reset`: shown, asked about, and done."""

from __future__ import annotations

import asyncio
import secrets
import sys
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime
from typing import Any

import click
from aiokafka.errors import KafkaError

from commands.base import CommandError
from commands.kafka import Kafka
from commands.many import counted
from commands.output import Output
from jobs.labels import is_key
from jobs.limits import Rate
from log.writer import NotWritten
from submission.plan import Item, Plan
from submission.resending import Original, Resender, in_turns

MOST = 30  # jobs in a table
MAX_NAME_CHARS = 200
_COLUMNS = ("id", "handler", "status", "error", "why not")


class Listed:
    """The jobs of a plan: the first of them for a table, or all as lines of JSON."""

    def __init__(self, out: Output, *, every_one: bool) -> None:
        """``every_one``: as JSON, each is printed as it comes."""
        self._out = out
        self._print = every_one and out.as_json
        self._first: list[Item] = []
        self._count = 0

    def take(self, item: Item) -> None:
        """A job that was asked for."""
        if self._print:
            self._out.json_line(_told(item))
        elif len(self._first) < MOST:
            self._first.append(item)
        self._count += 1

    def show(self) -> None:
        """The table."""
        rows = [
            {**_told(item), "why not": item.why, "error": _short(item.error)}
            for item in self._first
        ]
        self._out.table(_COLUMNS, rows)
        if self._count > len(rows):
            self._out.line(f"… and {self._count - len(rows):,} more; --json has them all")


async def send(kafka: Kafka, out: Output, plan: Plan, rate: Rate | None, *, ids: bool) -> int:
    """Run the jobs of a plan again; how many.

    Raises:
        CommandError: it ended half-way.
    """
    name, sent = plan.rules.name, 0
    try:
        async with kafka.writer() as writer, AsyncExitStack() as stack:
            limit_s = kafka.settings.write_timeout_s
            resender = Resender(writer, kafka.names.jobs, name, rate, limit_s)
            sources = plan.sources(kafka.reader)
            for source in sources:
                await stack.enter_async_context(aclosing(source))
            with out.progress("replaying", plan.count) as advance:
                batch: list[Original] = []
                async for original in in_turns(sources):
                    batch.append(original)
                    if len(batch) == resender.together:
                        sent += await _send(out, resender, batch, ids=ids)
                        advance(len(batch))
                        batch = []
                if batch:
                    sent += await _send(out, resender, batch, ids=ids)
    except (NotWritten, KafkaError, OSError) as exc:  # the originals are read meanwhile
        if not sent and not isinstance(exc, NotWritten):
            raise
        if isinstance(exc, BrokenPipeError):  # nobody reads the ids any more
            out.note(_half(sent, name))
            raise
        why = f"Kafka can't be read ({exc})" if isinstance(exc, KafkaError) else str(exc)
        raise CommandError(f"{why}. {_half(sent, name)}", 1) from None
    except asyncio.CancelledError:
        out.note(f"interrupted: {_half(sent, name)}")
        raise
    return sent


def confirm(out: Output, what: str, *, yes: bool) -> None:
    """Ask, unless it was said before.

    Raises:
        CommandError: nobody said yes.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{what}? There is nobody to ask: --yes says that it is meant")
    try:
        meant = click.confirm(what + "?", err=True)
    except click.Abort:
        meant = False
    if not meant:
        raise CommandError("nothing was done")


def summary(out: Output, plan: Plan, sent: int | None, seconds: float, *, lines: bool) -> None:
    """What was done; ``sent``: ``None`` if nothing was meant to be. ``lines``: as JSON, it is the
    last line of many."""
    name = plan.rules.name
    if out.as_json:
        done: dict[str, Any] = {"would_replay": plan.count} if sent is None else {"replayed": sent}
        told = {"name": name, **done, "skipped": dict(plan.skipped)}
        if lines:
            out.json_line({"summary": told})
        else:
            out.json(told)
        return
    if sent is None:
        out.line(f"{plan.count:,} would be run again, as new jobs")
    else:
        out.line(f"{counted(sent)} replayed as {name}, in {seconds:,.1f}s")
    for why, count in sorted(plan.skipped.items()):
        out.line(f"{count:>10,}  left out: {why}", "dim")


def name_of(name: str | None, kind: str) -> str:
    """The name of a replay: one that nobody has, unless it is given.

    Raises:
        CommandError: it can't be one.
    """
    if name is None:
        return f"{kind}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    if not is_key(name) or len(name) > MAX_NAME_CHARS:
        raise CommandError(
            f"--name must be 1 to {MAX_NAME_CHARS} printable ASCII characters, not {name!r}"
        )
    return name


async def _send(out: Output, resender: Resender, batch: list[Original], *, ids: bool) -> int:
    new = await resender.send(batch)
    if ids:
        for original, job_id in zip(batch, new, strict=True):
            if out.as_json:
                out.json_line({"id": str(original.job_id), "replay": str(job_id)})
            else:
                out.line(f"{original.job_id} {job_id}")
    return len(new)


def _half(sent: int, name: str) -> str:
    return f"{counted(sent)} replayed; --name {name} goes on, and replays none of them twice"


def _told(item: Item) -> dict[str, Any]:
    return {
        "id": str(item.job_id),
        "handler": item.handler,
        "status": item.status,
        "error": item.error,
        "replay": item.why is None,
        "why_not": item.why,
    }


def _short(error: str | None) -> str | None:
    return error if error is None or len(error) <= 60 else error[:59] + "…"
