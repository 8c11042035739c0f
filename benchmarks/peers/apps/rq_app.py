"""Functions for RQ."""

from __future__ import annotations

import os
import time

from redis import Redis
from rq import Queue, Retry

from .asked import chunks, jobs, kind
from .note import note


def noop(n: int, ms: int) -> None:
    """Nothing."""


def pause(n: int, ms: int) -> None:
    """Waits."""
    time.sleep(ms / 1000)


def noted(n: int, ms: int) -> None:
    """Waits, and leaves a note that it has run."""
    time.sleep(ms / 1000)
    note(n)


if __name__ == "__main__":
    queue = Queue(connection=Redis.from_url(f"redis://{os.environ['BENCH_REDIS']}/0"))
    name = f"apps.rq_app.{kind()}"
    for chunk in chunks(jobs(), 500):
        queue.enqueue_many(
            [Queue.prepare_data(name, (n, ms), retry=Retry(max=3)) for n, ms in chunk]
        )
