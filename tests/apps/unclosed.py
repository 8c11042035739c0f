"""A worker's end that is held up."""

from __future__ import annotations

import asyncio

from jobs import Resources, shutdown


@shutdown
async def wait(resources: Resources) -> None:
    """Never ends by itself."""
    print("closing", flush=True)
    await asyncio.Event().wait()
