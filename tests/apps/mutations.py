"""The product with one of its safeguards turned off, to show that the harness notices.

MUTATION names one. Each is what a worker would be if nobody had thought of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from faust.types import TP

from agents.feed import Feed
from agents.resume import Resume
from jobs.model import Job
from log.reader import Record
from tables.fold import Fold
from tables.partition import Partition
from tables.takeover import Takeover
from worker.app import JobsApp


def visible_before_durable() -> None:
    """Readers see a row when it is sent, not when Kafka has acknowledged it."""
    sent = Partition.sent

    def shown(self: Partition, offset: int, job: Job | None) -> None:
        sent(self, offset, job)
        if job is None:
            self.rows.pop(offset, None)
        else:
            self.rows[offset] = job

    Partition.sent = shown  # type: ignore[method-assign]


def no_fence() -> None:
    """Each row counts, whoever wrote it, and a worker never asks whether it is still the owner."""
    apply = Fold.apply

    def apply_all(self: Fold, record: Record) -> None:
        if record.key == b"owner":
            apply(self, record)
        else:
            apply(self, record._replace(headers=self.fence.headers()))

    def seen(self: Partition, place: int) -> None:
        self.cursor = max(self.cursor, place + 1)

    async def mend(self: Takeover, part: Partition) -> int:
        return 0

    def stale(self: JobsApp) -> bool:
        return False

    Fold.apply = apply_all  # type: ignore[method-assign]
    Partition.seen = seen  # type: ignore[method-assign]
    Takeover.mend = mend  # type: ignore[method-assign]
    JobsApp.stale = stale  # type: ignore[method-assign]


def no_audit() -> None:
    """What Faust doesn't deliver is not looked for."""

    async def audit(self: Feed) -> None:
        return

    async def contiguous(self: Feed, p: int, place: int, records: Sequence[Record]) -> list[Record]:
        return [record for record in records if record.offset >= place]

    Feed.audit = audit  # type: ignore[method-assign]
    Feed._contiguous = contiguous  # type: ignore[method-assign]


def commit_what_is_delivered() -> None:
    """The place that is committed is the one that Faust has come to, handled or not."""

    async def commit(self: Resume) -> None:
        places = {}
        for feed in self._feeds:
            for p in feed.places:
                place = self._consumer.next_offset(TP(feed.topic, p))
                if place is not None:
                    places[TP(feed.topic, p)] = place
        await self._consumer.commit_places(places)

    Resume.commit = commit  # type: ignore[method-assign]


def no_resume() -> None:
    """Unfinished rows of a partition that is taken over are left alone."""
    resume = Resume._resume

    class Idle:
        def __init__(self, runner: Any) -> None:
            self._runner = runner

        def take_up(self, part: Partition, offset: int) -> None:
            """Nothing."""

        def __getattr__(self, name: str) -> Any:
            return getattr(self._runner, name)

    async def leaving(self: Resume, part: Partition, *what: Any) -> None:
        runner = self._runner
        self._runner = cast(Any, Idle(runner))
        try:
            await resume(self, part, *what)
        finally:
            self._runner = runner

    Resume._resume = leaving  # type: ignore[method-assign, assignment]


MUTATIONS: dict[str, Callable[[], None]] = {
    "visible before durable": visible_before_durable,
    "no fence": no_fence,
    "no audit": no_audit,
    "commit what is delivered": commit_what_is_delivered,
    "no resume": no_resume,
}
