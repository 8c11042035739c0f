"""Functions for arq. `python -m apps.arq_app work` is its worker."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any, ClassVar

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import run_worker

from .asked import chunks, jobs, kind
from .note import note

HOST, PORT = os.environ["BENCH_REDIS"].split(":")
REDIS = RedisSettings(host=HOST, port=int(PORT))


async def noop(ctx: dict[str, Any], n: int, ms: int) -> None:
    """Nothing."""


async def pause(ctx: dict[str, Any], n: int, ms: int) -> None:
    """Waits."""
    await asyncio.sleep(ms / 1000)


async def noted(ctx: dict[str, Any], n: int, ms: int) -> None:
    """Waits, and leaves a note that it has run."""
    await asyncio.sleep(ms / 1000)
    note(n)


class WorkerSettings:
    """As arq looks for them."""

    functions: ClassVar[list[Any]] = [noop, pause, noted]
    redis_settings = REDIS
    max_jobs = int(os.environ["BENCH_SLOTS"])
    poll_delay = float(os.environ["BENCH_POLL_S"])
    job_timeout = int(os.environ["BENCH_TIMEOUT_S"])


async def feed() -> None:
    """Some at a time: each is a transaction."""
    pool = await create_pool(REDIS)
    for chunk in chunks(jobs(), 20):
        await asyncio.gather(*(pool.enqueue_job(kind(), n, ms) for n, ms in chunk))


if __name__ == "__main__":
    if sys.argv[1] == "work":
        run_worker(WorkerSettings)
    else:
        asyncio.run(feed())
