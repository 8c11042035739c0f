"""Slots. First attempts and reruns have their own, so that reruns never starve fresh jobs.

What is ready stands in line by its handler, since a handler may have limits of its own: a job
over its limit waits without taking a slot, and those of other handlers pass it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import cached_property
from typing import Generic, TypeVar

from execution.lane import Lane
from jobs.limits import Limit

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
NO_LIMITS: Sequence[Limit] = ()
BRISK, BRISK_S = 50, 0.1  # so many starts in so many seconds are a brisk pace


class Pool(Generic[K]):
    """Starts ``work(key)`` for what is ready whenever a slot is free, in order of readiness.

    ``work`` keeps its slot until it returns; it must not raise. ``limits`` gives the limits
    of a group, the same objects each time. ``ahead``: so many first attempts, at most, may begin
    before they have a slot; ``work`` then calls ``take``, and ``slot`` if that is False.
    """

    def __init__(
        self,
        first: int,
        reruns: int,
        work: Callable[[K], Awaitable[None]],
        limits: Callable[[str], Sequence[Limit]] = lambda group: NO_LIMITS,
        ahead: int = 0,
    ) -> None:
        self.first: Lane[K] = Lane(first, ahead)
        self.reruns: Lane[K] = Lane(reruns)
        self._work = work
        self._limits = limits
        self._turns = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._stopped = False
        self._starts: deque[float] = deque(maxlen=BRISK)  # when the last ones were started
        self.on_free: Callable[[], None] = _nothing
        """Called when a slot for first attempts is free, and nothing that may take it stands in
        line."""

    def add(self, key: K, *, rerun: bool, group: str = "", back: bool = False) -> bool:
        """Put a key in line; before all others, if it comes ``back`` from a beginning that came to
        nothing. False: it is in line or running already."""
        if key in self:
            return False
        lane = self.reruns if rerun else self.first
        if not lane.lines and lane.free > 0 and not self._stopped and not self._limits(group):
            self._begin(lane, key, NO_LIMITS)
            return True
        if back:
            lane.put_back(key, group)
        else:
            lane.put(key, group, next(self._turns))
        self._fill(lane)
        return True

    def claim(self, key: K, group: str) -> bool:
        """Let a key begin, if it needn't stand in line. ``run`` follows, or ``give_back``, at the
        end of work that isn't ours to start."""
        lane = self.first
        if lane.free <= 0 or group in lane.lines or self._stopped or self._limits(group):
            return False
        if key in self:
            return False
        lane.begun.add(key)
        self._starts.append(self._loop.time())
        return True

    def run(self, key: K) -> None:
        """Start the work of a key that has been let begin."""
        self._start(self.first, key, NO_LIMITS)

    def give_back(self, key: K) -> None:
        """A key that has been let begin is over."""
        lane = self.first
        lane.release(key)
        if lane.lines:
            self._fill(lane)
        if lane.free > 0:
            self.on_free()

    def take(self, key: K) -> bool:
        """Give a key that has begun a slot, if it needn't wait for one."""
        return self._lane(key).take(key)

    def wait(self, key: K, then: Callable[[bool], None]) -> None:
        """As ``slot``; ``then`` is told."""
        self._lane(key).wait(key, then)

    async def slot(self, key: K) -> bool:
        """Wait for a slot. False: it got none in time, or ``skip`` or ``stop`` was called."""
        return await self._lane(key).slot(key)

    def skip(self, key: K) -> None:
        """A key that waits for its slot needn't any more."""
        self._lane(key).skip(key)

    def discard(self, key: K) -> None:
        """Take a key out of line; what runs is not touched."""
        self.first.take_out(key)
        self.reruns.take_out(key)

    def waiting(self) -> list[K]:
        """What is in line."""
        return [*self.first.group_of, *self.reruns.group_of]

    def __contains__(self, key: object) -> bool:
        first, reruns = self.first, self.reruns
        return (
            key in first.begun
            or key in first.group_of
            or key in reruns.begun
            or key in reruns.group_of
        )

    def __len__(self) -> int:
        first, reruns = self.first, self.reruns
        return len(first.group_of) + len(first.begun) + len(reruns.group_of) + len(reruns.begun)

    def brisk(self) -> bool:
        """Whether so many are started that whoever waits for a slot needn't wait long."""
        starts = self._starts
        if len(starts) < BRISK:
            return False
        return self._loop.time() - starts[0] < BRISK_S

    def stop(self) -> None:
        """Start nothing any more; what is in line stays there."""
        self._stopped = True
        for lane in self._lanes:
            lane.stop()
        if self._alarm is not None:
            self._alarm.cancel()

    async def idle(self) -> None:
        """Wait until nothing runs."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # asked for each job, it would take its time

    @property
    def _lanes(self) -> tuple[Lane[K], Lane[K]]:
        return (self.first, self.reruns)

    def _lane(self, key: K) -> Lane[K]:
        return self.reruns if key in self.reruns.begun else self.first

    def _fill(self, lane: Lane[K]) -> None:
        while (found := self._next(lane)) is not None:
            turn, key, limits = found
            into = lane
            if limits:
                # The room that its limit has may be for an older one of the other lane.
                other = self.reruns if lane is self.first else self.first
                older = self._next(other)
                if older is not None and older[0] < turn:
                    into, (_, key, limits) = other, older
            self._begin(into, key, limits)

    def _begin(self, lane: Lane[K], key: K, limits: Sequence[Limit]) -> None:
        lane.take_out(key)
        if limits:
            now = self._loop.time()
            for limit in limits:
                limit.take(now)
        lane.begun.add(key)
        if lane is self.first:  # reruns free none of the slots that fresh jobs wait for
            self._starts.append(self._loop.time())
        self._start(lane, key, limits)

    def _start(self, lane: Lane[K], key: K, limits: Sequence[Limit]) -> None:
        task = self._loop.create_task(self._run(lane, key, limits))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _next(self, lane: Lane[K]) -> tuple[int, K, Sequence[Limit]] | None:
        """The key whose turn it is among the groups that may begin one now, if a slot is free;
        its turn before it, the limits of its group behind it."""
        if not lane.lines or lane.free <= 0 or self._stopped:
            return None
        now = self._loop.time()
        found: tuple[int, K, Sequence[Limit]] | None = None
        soonest: float | None = None
        for group, line in lane.lines.items():
            limits = self._limits(group)
            waits = [limit.wait_s(now) for limit in limits]
            if None in waits:
                continue  # one of the group's must end first; then we are called
            wait_s = max((w for w in waits if w is not None), default=0.0)
            if wait_s > 0:
                soonest = wait_s if soonest is None else min(soonest, wait_s)
                continue
            key = next(iter(line))
            if found is None or line[key] < found[0]:
                found = (line[key], key, limits)
        if found is None and soonest is not None:
            self._look_again_in(soonest)
        return found

    def _look_again_in(self, seconds: float) -> None:
        loop = self._loop
        if self._alarm is not None:
            if self._alarm.when() <= loop.time() + seconds:
                return  # an earlier one is set, for the other lane or group
            self._alarm.cancel()
        self._alarm = loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._fill_all()

    def _fill_all(self) -> None:
        for lane in self._lanes:
            self._fill(lane)

    async def _run(self, lane: Lane[K], key: K, limits: Sequence[Limit]) -> None:
        try:
            await self._work(key)
        except Exception:
            logger.exception("%s: its slot's work raised; please report this", key)
        finally:
            unused = not lane.release(key)
            for limit in limits:
                limit.give(unused=unused)
            if limits:
                self._fill_all()  # what was over the limit may stand in either lane
            else:
                self._fill(lane)
            if self.first.free > 0:
                self.on_free()


def _nothing() -> None:
    """Where nobody waits for slots."""
