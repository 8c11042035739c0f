"""How far intake is behind the end of each partition, for those who ask often."""

from __future__ import annotations

import asyncio
import time

from aiokafka.errors import KafkaError

from web.parts import Parts

KEEP_S = 5.0  # an answer is this old at most, however many ask
ANSWER_S = 0.5  # who asks waits for the broker at most so long
TRUST_S = 15.0  # then what was read before says nothing any more


class Lag:
    """Reads ends of the jobs topic in a task of its own, so that a broker that is gone makes
    nobody wait."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._read: asyncio.Task[None] | None = None
        self._lags: dict[int, int] = {}
        self._at = float("-inf")
        self.reachable = True  # whether the last read got its answer

    async def by_partition(self) -> dict[int, int]:
        """Records that intake hasn't handled, of each partition that we serve; nothing while the
        broker doesn't answer."""
        if time.monotonic() - self._at >= KEEP_S:
            if self._read is None or self._read.done():
                self._read = asyncio.create_task(self._look())
            await asyncio.wait([self._read], timeout=ANSWER_S)
        if time.monotonic() - self._at > TRUST_S:
            self.reachable = False
            return {}
        served = self._parts.table.served
        return {p: lag for p, lag in self._lags.items() if p in served}

    async def _look(self) -> None:
        feed = self._parts.jobs
        asked = sorted(p for p in self._parts.table.served if p in feed.places)
        try:
            ends = await self._parts.reader.ends(feed.topic, asked) if asked else {}
        except KafkaError:
            self.reachable = False
            return
        self._lags = {
            p: max(0, end - feed.places[p]) for p, end in ends.items() if p in feed.places
        }
        self._at = time.monotonic()
        self.reachable = True
