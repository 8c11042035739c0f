"""What is looked after again and again: undelivered records, foreign rows, commits, old rows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from aiokafka.errors import KafkaError

from agents.feed import Feed
from agents.resume import Resume
from log.writer import NotWritten
from tables.partition import PartitionLost

logger = logging.getLogger(__name__)


class Audit:
    """Holds every feed's place against the log, and our changelogs against what we wrote."""

    def __init__(
        self, feeds: Sequence[Feed], resume: Resume, rebalancing: Callable[[], bool]
    ) -> None:
        self._feeds = feeds
        self._resume = resume
        self._rebalancing = rebalancing

    async def look(self) -> None:
        """One look; none while the group rebalances, since nothing is delivered then."""
        for look in (*[feed.audit for feed in self._feeds], self._resume.watch_changelogs):
            if not self._rebalancing() and not self._resume.recovering:
                await look()


async def every(interval_s: float, step: Callable[[], Awaitable[object]]) -> None:
    """Call ``step`` for ever, ``interval_s`` after it has returned; what fails is tried again."""
    name = getattr(step, "__qualname__", repr(step))
    while True:
        await asyncio.sleep(interval_s)
        try:
            await step()
        except (KafkaError, NotWritten, PartitionLost) as exc:
            logger.warning("%s: %s; it is tried again", name, exc)
        except Exception:
            logger.exception("%s raised; it goes on. Please report this", name)
