"""What is looked after again and again: undelivered records, foreign rows, commits, old rows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from aiokafka.errors import KafkaError

from agents.feed import Feed
from agents.resume import Resume
from log.writer import NotWritten
from tables.partition import PartitionLost
from worker.app import JobsApp
from worker.transport import JobsConsumer

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


class Membership:
    """Notices when the group doesn't settle, says so, and joins it afresh."""

    def __init__(self, resume: Resume, app: JobsApp) -> None:
        self._resume = resume
        self._app = app
        self._since: float | None = None

    async def look(self) -> None:
        """One look; to be called often."""
        self._app.once.look(self._app.answered_at())
        now = time.monotonic()
        if self._resume.assigned and not self._app.rebalancing:
            self._since = None
            return
        conf = self._app.conf
        limit_s = 2 * (conf.broker_session_timeout + conf.broker_rebalance_timeout)
        self._since = self._since or now
        if now - self._since > limit_s and not self._resume.taking:
            self._since = now
            logger.error(
                "the consumer group %s has not settled in %gs: leaving it and joining it afresh",
                conf.id,
                limit_s,
            )
            await cast(JobsConsumer, self._app.consumer).rejoin()


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
