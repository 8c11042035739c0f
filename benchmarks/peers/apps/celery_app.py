"""Tasks for Celery, acknowledged when they are done."""

from __future__ import annotations

import os
import time

from celery import Celery

from .asked import jobs, kind
from .note import note

app = Celery("bench", broker=f"redis://{os.environ['BENCH_REDIS']}/0")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=int(os.environ["BENCH_PREFETCH"]),
    broker_transport_options={
        "visibility_timeout": int(os.environ["BENCH_VISIBILITY_S"]),
        "unacked_restore_throttle": 1,  # looked for every 10 s, not every 100
    },
    broker_connection_retry_on_startup=True,
)


@app.task
def noop(n: int, ms: int) -> None:
    """Nothing."""


@app.task
def pause(n: int, ms: int) -> None:
    """Waits."""
    time.sleep(ms / 1000)


@app.task
def noted(n: int, ms: int) -> None:
    """Waits, and leaves a note that it has run."""
    time.sleep(ms / 1000)
    note(n)


if __name__ == "__main__":
    from apps.celery_app import app as named  # type: ignore[import-not-found] # not `__main__`'s

    task = named.tasks[f"apps.celery_app.{kind()}"]
    for n, ms in jobs():
        task.delay(n, ms)
