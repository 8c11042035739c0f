"""Actors for Dramatiq, which acknowledges a message when its actor is done."""

from __future__ import annotations

import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from .asked import jobs, kind
from .note import note

broker = RedisBroker(
    url=f"redis://{os.environ['BENCH_REDIS']}/0",
    heartbeat_timeout=int(os.environ["BENCH_HEARTBEAT_MS"]),
    maintenance_chance=int(os.environ["BENCH_MAINTENANCE"]),
)
dramatiq.set_broker(broker)


@dramatiq.actor
def noop(n: int, ms: int) -> None:
    """Nothing."""


@dramatiq.actor
def pause(n: int, ms: int) -> None:
    """Waits."""
    time.sleep(ms / 1000)


@dramatiq.actor
def noted(n: int, ms: int) -> None:
    """Waits, and leaves a note that it has run."""
    time.sleep(ms / 1000)
    note(n)


if __name__ == "__main__":
    actor = broker.get_actor(kind())
    for number, pause_ms in jobs():
        actor.send(number, pause_ms)
