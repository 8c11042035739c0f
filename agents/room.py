"""How many jobs a worker has taken on, and may still take on: the rest stay in Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from execution.pool import Pool
from execution.turns import Turns

SLOT_WAIT_S = 0.05  # before it is looked again whether the pace is brisk still


class Room:
    """Counts jobs that are ready, running, or about to be.

    Those that wait for their time don't count; a thousand jobs for tomorrow block nobody today.
    """

    def __init__(self, most: int, pool: Pool[Any], on_their_way: Callable[[], int]) -> None:
        """``most`` may be open. ``pool`` has those that are ready or run; ``on_their_way`` says how
        many have an outcome, or another step, on its way into the log."""
        self.most = most
        self._pool = pool
        self._on_their_way = on_their_way
        self._reserved = 0
        self._waiting = 0  # who waits in ``reserve``
        self._closed = False
        self._moved = asyncio.Event()
        self._slots = Turns()
        pool.on_free = self._slots.free

    @property
    def open(self) -> int:
        """Jobs that count."""
        return len(self._pool) + self._on_their_way() + self._reserved

    async def reserve(self, wanted: int) -> int:
        """Wait for room, then keep some of it: at least 1 job's, at most ``wanted``.

        While jobs are started at a brisk pace, it waits for free slots, too, and keeps as much as
        there are: jobs that begin at once need no row that says that they wait.
        """
        while True:
            while self.most <= self.open or self._closed:
                self._waiting += 1
                try:
                    await self.changed()
                finally:
                    self._waiting -= 1
            room, free = min(wanted, self.most - self.open), self._pool.first.free
            if free > 0 or not self._pool.brisk():
                break
            await self._slots.wait(SLOT_WAIT_S)
        room = min(room, free) if free > 0 else room
        self._reserved += room
        return room

    def unreserve(self, count: int) -> None:
        """Give reserved room back."""
        self._reserved -= count
        self._moved.set()

    def close(self) -> None:
        """Nobody is let in any more."""
        self._closed = True

    def moved(self) -> None:
        """A job is further, and may be open no longer: whoever waits looks again."""
        if self._waiting or self._closed:
            self._moved.set()

    async def changed(self) -> None:
        """Wait until a job is further."""
        self._moved.clear()
        await self._moved.wait()


__all__ = ["Room"]
