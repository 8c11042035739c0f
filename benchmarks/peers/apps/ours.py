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


@handler("noted", timeout="30s")
async def noted(ctx: Context, data: tuple[int, int]) -> None:
    """Waits, and leaves a note that it has run."""
    await asyncio.sleep(data[1] / 1000)
    note(data[0])
