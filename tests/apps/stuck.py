"""The worker, whose consumer neither starts nor stops."""

from __future__ import annotations

import asyncio

from app import app
from worker.transport import JobsConsumer


async def wait(self: JobsConsumer) -> None:
    """For ever."""
    await asyncio.Event().wait()


JobsConsumer.on_start = wait  # type: ignore[method-assign, assignment]
JobsConsumer.on_stop = wait  # type: ignore[method-assign, assignment]

__all__ = ["app"]
