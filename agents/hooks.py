"""``@startup`` and ``@shutdown`` functions, at a worker's start and at its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobs.errors import told
from jobs.resources import HOOKS, Resources
from worker.worker import StartError

logger = logging.getLogger(__name__)

SHUTDOWN_S = 10.0  # for all that is to be closed
_LEAST_S = 0.1  # for one, when those before it have used the time up


async def open_resources(resources: Resources) -> None:
    """Run the ``@startup`` functions; when one fails, close what is open.

    Raises:
        StartError: names the one that failed.
    """
    try:
        await HOOKS.start(resources)
    except BaseException as exc:  # sys.exit, too
        logger.error("a @startup function failed", exc_info=exc)
        await close_resources(resources)
        said = exc.__notes__[-1]  # which function it was
        raise StartError(f"{said}: {told(exc)}") from exc


async def close_resources(resources: Resources) -> None:
    """Run the ``@shutdown`` functions and what stands behind a ``yield``, within ``SHUTDOWN_S``.
    One that hangs gets half of what is left of it, so that each has its turn; the last one all."""
    ends = time.monotonic() + SHUTDOWN_S

    @asynccontextmanager
    async def turn(left: int) -> AsyncIterator[None]:
        rest_s = ends - time.monotonic()
        limit_s = max(_LEAST_S, rest_s if left == 1 else rest_s / 2)
        try:
            async with asyncio.timeout(limit_s) as limit:
                yield
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise TimeoutError(f"it was stopped after {limit_s:.1f}s") from exc
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Of a task of its own that it has cancelled, and waits for.
            raise RuntimeError("it let asyncio.CancelledError out") from exc

    await HOOKS.stop(resources, turn)
