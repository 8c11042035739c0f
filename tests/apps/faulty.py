"""Job functions for a load under faults. Each run writes itself into the journal that the
environment names in ``JOURNAL``: what really ran, whatever the rows say.

A line is one write with ``O_APPEND``, so that lines of all workers and processes stay whole and
are there when a kill comes.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs import Context, handler

ALIVE_S = 0.2  # between signs of life


class Run:
    """One run's lines."""

    def __init__(self, ctx: Context) -> None:
        self.job, self.attempt = str(ctx.job_id), ctx.attempt
        self.run = secrets.token_hex(6)

    def note(self, what: str) -> None:
        """Add a line: ``begin``, ``alive`` or ``end``."""
        line = {
            "what": what,
            "run": self.run,
            "job": self.job,
            "attempt": self.attempt,
            "pid": os.getpid(),
            "worker": os.environ["JOBS_PORT"],
            "mono": time.monotonic(),
            "at": time.clock_gettime(time.CLOCK_REALTIME),  # not the one that a test lets jump
        }
        journal = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(journal, json.dumps(line).encode() + b"\n")
        finally:
            os.close(journal)


@contextmanager
def journal(ctx: Context) -> Iterator[Run]:
    """Write the begin and the end of a run; a kill leaves no end."""
    run = Run(ctx)
    run.note("begin")
    try:
        yield run
    finally:
        run.note("end")


@handler("quick")
async def quick(ctx: Context, data: Any) -> Any:
    """Gives its data back."""
    with journal(ctx):
        return data


@handler("slow", timeout="60s")
async def slow(ctx: Context, data: float) -> float:
    """Takes ``data`` seconds, and ends when it is stopped."""
    with journal(ctx) as run:
        ends = time.monotonic() + data
        while (left := ends - time.monotonic()) > 0:
            await asyncio.sleep(min(left, ALIVE_S))
            run.note("alive")
        return data


@handler("flaky", reruns=5)
async def flaky(ctx: Context, data: int) -> int:
    """Fails in its first ``data`` attempts."""
    with journal(ctx):
        await asyncio.sleep(0)
        if ctx.attempt <= data:
            raise RuntimeError(f"attempt {ctx.attempt} of {data} that fail")
        return ctx.attempt


@handler("late", timeout="200ms", reruns=1)
async def late(ctx: Context, data: Any) -> None:
    """Never ends in time."""
    with journal(ctx):
        await asyncio.sleep(60)


@handler("stubborn", timeout="300ms", reruns=1)
def stubborn(ctx: Context, data: float) -> float:
    """Takes ``data`` seconds, in a thread, and doesn't mind being stopped."""
    with journal(ctx) as run:
        ends = time.monotonic() + data
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, ALIVE_S))
            run.note("alive")
        return data


@handler("apart", process=True, timeout="10s")
def apart(ctx: Context, data: float) -> int:
    """Takes ``data`` seconds in a process of its own."""
    with journal(ctx):
        time.sleep(data)
        return os.getpid()


@handler("poison", timeout="60s")
async def poison(ctx: Context, data: int) -> str:
    """Takes its worker down, at its first ``data`` runs. Three in a row are poison."""
    with journal(ctx):
        if runs_of(str(ctx.job_id)) <= data:
            os._exit(9)
        return "survived"


def runs_of(job: str) -> int:
    """How often a job has begun, by the journal."""
    lines = map(json.loads, Path(os.environ["JOURNAL"]).read_text().splitlines())
    return sum(line["job"] == job and line["what"] == "begin" for line in lines)
