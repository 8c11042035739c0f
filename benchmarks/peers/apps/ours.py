"""Job functions, as somebody who uses this job processor writes them."""

from __future__ import annotations

import asyncio

from benchmarks.peers.apps.note import note
from jobs import Context, handler


@handler("noop")
async def noop(ctx: Context, data: tuple[int, int]) -> None:
    """Nothing."""


@handler("pause")
async def pause(ctx: Context, data: tuple[int, int]) -> None:
    """Waits as somebody would for an answer from elsewhere."""
    await asyncio.sleep(data[1] / 1000)


@handler("noted")
async def noted(ctx: Context, data: tuple[int, int]) -> None:
    """Leaves a note that it has run."""
    note(data[0])
    await asyncio.sleep(data[1] / 1000)
