"""A worker's end that is held up."""

from __future__ import annotations

import asyncio

from jobs import Resources, shutdown


@shutdown
async def first(resources: Resources) -> None:
    """Is closed last, and has its turn in spite of the others."""
    print("closed", flush=True)


@shutdown
async def cancels(resources: Resources) -> None:
    """Waits for a task that it has cancelled."""
    task = asyncio.ensure_future(asyncio.Event().wait())
    task.cancel()
    await task


@shutdown
async def wait(resources: Resources) -> None:
    """Never ends by itself."""
    print("closing", flush=True)
    await asyncio.Event().wait()
