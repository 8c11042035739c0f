"""Slots. First attempts and reruns have their own, so that reruns never starve fresh jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)


class Lane(Generic[K]):
    """A queue of what is ready, and the slots that it is run in."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.ready: dict[K, None] = {}  # ordered, and quick to take one out of the middle
        self.running: set[K] = set()

    @property
    def free(self) -> int:
        """Slots that nothing runs in."""
        return self.slots - len(self.running)


class Pool(Generic[K]):
    """Starts ``work(key)`` for what is ready whenever a slot is free, in order of readiness.

    ``work`` keeps its slot until it returns; it must not raise.
    """

    def __init__(self, first: int, reruns: int, work: Callable[[K], Awaitable[None]]) -> None:
        self.first: Lane[K] = Lane(first)
        self.reruns: Lane[K] = Lane(reruns)
        self._work = work
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def add(self, key: K, *, rerun: bool) -> bool:
        """Put a key in line. False: it is in line or running already."""
        if key in self:
            return False
        lane = self.reruns if rerun else self.first
        lane.ready[key] = None
        self._fill(lane)
        return True

    def discard(self, key: K) -> None:
        """Take a key out of line; what runs is not touched."""
        self.first.ready.pop(key, None)
        self.reruns.ready.pop(key, None)

    def waiting(self) -> list[K]:
        """What is in line."""
        return [*self.first.ready, *self.reruns.ready]

    def __contains__(self, key: object) -> bool:
        return any(key in lane.ready or key in lane.running for lane in (self.first, self.reruns))

    def __len__(self) -> int:
        return sum(len(lane.ready) + len(lane.running) for lane in (self.first, self.reruns))

    def stop(self) -> None:
        """Start nothing any more; what is in line stays there."""
        self._stopped = True

    async def idle(self) -> None:
        """Wait until nothing runs."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _fill(self, lane: Lane[K]) -> None:
        while lane.ready and lane.free > 0 and not self._stopped:
            key = next(iter(lane.ready))
            del lane.ready[key]
            lane.running.add(key)
            task = asyncio.get_running_loop().create_task(self._run(lane, key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, lane: Lane[K], key: K) -> None:
        try:
            await self._work(key)
        except Exception:
            logger.exception("%s: its slot's work raised; please report this", key)
        finally:
            lane.running.discard(key)
            self._fill(lane)
