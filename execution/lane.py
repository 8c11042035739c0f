"""A kind of slots, and who waits for them.

A job's row must be durable before its handler is called, which takes some milliseconds. While slots
turn over quickly, some jobs begin ahead: their rows are written while the slots are still taken, so
that no slot stands empty for that time. How many follows from how long slots are taken at present:
no more than find one within ``AHEAD_S``, and none where jobs are long.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cached_property, partial
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

AHEAD_S = 0.15  # a job that begins ahead may wait about so long for its slot
LONG_S = 0.5  # where slots are taken for so long on average, none begins ahead
WAIT_S = 1.0  # whoever has begun ahead and still has no slot is told to begin again
_MOST_S = 2.0  # as what a longer time counts, so that one long job isn't felt for long
_SHARE = 8  # each time counts for so much of the average


class Lane(Generic[K]):
    """What is ready, in order and by group, and the slots that it is run in. ``ahead``: how many
    may begin before they have a slot, at most."""

    def __init__(self, slots: int, ahead: int = 0) -> None:
        self.slots = slots
        # Group → key → its turn. Ordered, as a dict is, and the first one is found at once also
        # after thousands before it have been taken out, over whose places a dict would go.
        self.lines: dict[str, OrderedDict[K, int]] = {}
        self.group_of: dict[K, str] = {}  # of what stands in line
        self.begun: set[K] = set()
        self.running: dict[K, float] = {}  # since when each has its slot, by the loop's clock
        # Begun ahead, and waiting for a slot: whom to tell, and since when. The first came first.
        self._ready: OrderedDict[K, tuple[Callable[[bool], None], float]] = OrderedDict()
        self._alarm: asyncio.TimerHandle | None = None  # for the first of them
        self._ahead_most = ahead
        self._ahead = 0
        self._taken_s = _MOST_S  # how long a slot is taken, on average
        self._noted_at = -1.0
        self._stopped = False

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # asked for each job, it would take its time

    @property
    def free(self) -> int:
        """How many may begin: in slots that are free, or ahead of those that soon will be."""
        return self.slots + self._ahead - len(self.begun)

    def put(self, key: K, group: str, turn: int) -> None:
        """Put a key at the end of its group's line."""
        line = self.lines.get(group)
        if line is None:
            line = self.lines[group] = OrderedDict()
        line[key] = turn
        self.group_of[key] = group

    def put_back(self, key: K, group: str) -> None:
        """Put a key before all but those that have been put back before it."""
        line: OrderedDict[K, int] = self.lines.get(group, OrderedDict())
        back = {k: turn for k, turn in line.items() if turn < 0}
        behind = {k: turn for k, turn in line.items() if turn >= 0}
        self.lines[group] = OrderedDict({**back, key: -1, **behind})
        self.group_of[key] = group

    def take_out(self, key: K) -> str | None:
        """Take a key out of line; its group, or ``None`` if it wasn't there."""
        group = self.group_of.pop(key, None)
        if group is not None:
            line = self.lines[group]
            del line[key]
            if not line:
                del self.lines[group]
        return group

    def take(self, key: K) -> bool:
        """Give a key that has begun a slot, if it needn't wait for one."""
        if self._stopped or self._ready or len(self.running) >= self.slots:
            return False
        self.running[key] = self._loop.time()
        return True

    def wait(self, key: K, then: Callable[[bool], None]) -> None:
        """Wait for a slot; ``then`` is told whether it got one, and never at once. False: because
        of ``skip``, ``stop``, or ``WAIT_S``."""
        if self._stopped:
            self._loop.call_soon(then, False)
            return
        self._ready[key] = (then, self._loop.time())
        if self._alarm is None:
            self._alarm = self._loop.call_later(WAIT_S, self._look)

    async def slot(self, key: K) -> bool:
        """As ``wait``, for one who can."""
        turn: asyncio.Future[bool] = self._loop.create_future()
        self.wait(key, partial(_tell, turn))
        try:
            return await turn
        except asyncio.CancelledError:
            self._end(key, has=False)
            raise

    def skip(self, key: K) -> None:
        """A key needn't wait for its slot any more."""
        self._end(key, has=False)

    def release(self, key: K) -> bool:
        """A key is over: whoever waits for its slot has it. False: it had begun ahead, and got
        none."""
        self.begun.discard(key)
        since = self.running.pop(key, None)
        if since is None:
            return not self._ahead_most
        now = self._loop.time()
        self._note(now - since, now)
        while self._ready and len(self.running) < self.slots:
            ready = next(iter(self._ready))
            self.running[ready] = now
            self._end(ready, has=True)
        return True

    def _end(self, key: K, *, has: bool) -> None:
        waiting = self._ready.pop(key, None)
        if waiting is not None:
            # Not at once: who is told may end, and so give his slot to the next.
            self._loop.call_soon(waiting[0], has)

    def _look(self) -> None:
        """Give up those who have waited for too long."""
        self._alarm = None
        now = self._loop.time()
        while self._ready:
            key, (_, since) = next(iter(self._ready.items()))
            if since + WAIT_S > now:
                self._alarm = self._loop.call_at(since + WAIT_S, self._look)
                return
            # Slots no longer turn over quickly: none begins ahead until they do again.
            self._taken_s, self._ahead = _MOST_S, 0
            self.skip(key)

    def stop(self) -> None:
        """Give slots to nobody who waits for one."""
        self._stopped = True
        for key in list(self._ready):
            self.skip(key)
        if self._alarm is not None:
            self._alarm.cancel()

    def _note(self, taken_s: float, now: float) -> None:
        self._taken_s += (min(taken_s, _MOST_S) - self._taken_s) / _SHARE
        if self._taken_s > LONG_S:
            self._ahead = 0
        elif now != self._noted_at:  # uvloop's clock counts whole milliseconds
            self._noted_at = now
            # Those that hold on to their slots turn nothing over, and aren't in the average.
            long = 0
            for since in self.running.values():  # the oldest first
                if now - since <= LONG_S:
                    break
                long += 1
            soon = (self.slots - long) * AHEAD_S / max(self._taken_s, 1e-6)
            self._ahead = min(self._ahead_most, int(soon))


def _tell(turn: asyncio.Future[bool], has: bool) -> None:
    if not turn.done():
        turn.set_result(has)


__all__ = ["Lane"]
