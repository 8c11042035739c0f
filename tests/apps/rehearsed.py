"""Job functions for rehearsals."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from jobs import Context, handler

RAN: list[str] = []  # what must not run
AT_ONCE: list[int] = [0, 0]  # how many run, and the most that ever did


@handler("unsafe")
async def unsafe(ctx: Context, data: Any) -> None:
    """It isn't marked."""
    RAN.append(str(ctx.job_id))


@handler("told", rehearse=True)
async def told(ctx: Context, data: Any) -> dict[str, Any]:
    """What it is told."""
    return {"rehearsal": ctx.rehearsal, "id": str(ctx.job_id), "key": ctx.key}


@handler("told-in-thread", rehearse=True)
def told_in_thread(ctx: Context, data: Any) -> bool:
    """The same in a thread."""
    return ctx.rehearsal


@handler("told-in-process", rehearse=True, process=True)
def told_in_process(ctx: Context, data: Any) -> list[Any]:
    """The same in a process, which may submit, too."""
    return [ctx.rehearsal, str(ctx.submit_sync("echo", 1)), os.getpid()]


@handler("splits", rehearse=True)
async def splits(ctx: Context, data: int) -> list[str]:
    """Submits follow-ups."""
    return [str(await ctx.submit("unsafe", n, ttl=0)) for n in range(data)]


@handler("third-time", rehearse=True, reruns=2, max_running=2)
async def third_time(ctx: Context, data: Any) -> int:
    """Fails twice."""
    AT_ONCE[0] += 1
    AT_ONCE[1] = max(AT_ONCE)
    try:
        await asyncio.sleep(0.001)
        if ctx.attempt < 3:
            raise RuntimeError("not yet")
        return ctx.attempt
    finally:
        AT_ONCE[0] -= 1


@handler("deaf", rehearse=True, reruns=0, timeout="10ms")
def deaf(ctx: Context, data: float) -> None:
    """A thread that nothing stops."""
    time.sleep(data)
