"""A worker of the model: the product's own parts, wired as in ``app.py``, on simulated Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from agents.callers import Callers
from agents.cancels import Cancels
from agents.dead import DeadLetters
from agents.feed import Feed
from agents.jobs import Intake
from agents.keys import Keys
from agents.limits import Limits
from agents.resume import Resume
from agents.retries import Retries
from agents.runner import Runner
from agents.submit import Submitter
from agents.sweep import Sweeper
from jobs.context import Context
from jobs.model import JobId
from jobs.registry import Handler, Registry
from jobs.resources import Resources
from jobs.retry import RetryPolicy
from log.reader import Record
from log.writer import LogWriter
from tables.cache import Cache
from tables.jobs import JobTable, now_ms
from tables.partition import Partition
from tables.takeover import Identity, Takeover
from tests.model.kafka import Connection, Consumer, Kafka, P, Reader
from tests.model.loop import StepLoop
from worker.app import JobsApp

JOBS, RETRY, CANCEL, DEAD, CHANGELOG = "jobs", "retry", "cancel", "dead", "changelog"
WRITE_TIMEOUT_S = 10.0
_LIMITS = Limits(
    workers=2,
    rerun_workers=1,
    max_open=3,
    default_timeout_s=1e6,
    timeout_s=None,
    max_result_bytes=1_000,
    retry=RetryPolicy(0.0),
)


class App:
    """What the parts ask of Faust's app. It is never stale: that check is a second line of
    defence, and what must hold holds without it. But who has lost a lease doesn't fight for it
    before he has heard from the group, as no worker does."""

    def __init__(
        self, consumer: Consumer, member: Callable[[], bool], generation: Callable[[], int]
    ) -> None:
        self.consumer = consumer
        self._member = member
        self._generation = generation

    @property
    def consumer_generation_id(self) -> int:
        """The group's generation, as far as it has told the worker."""
        return self._generation()

    @property
    def rebalancing(self) -> bool:
        """Whether the group has moved on."""
        return not self._member()

    def confirmed(self, since: float) -> bool:
        """Whether a heartbeat would be taken."""
        return self._member()

    def stale(self) -> bool:
        """No."""
        return False


class _ChangelogTopic:
    def get_topic_name(self) -> str:
        return CHANGELOG


class Table(JobTable):
    """``JobTable`` with no Faust around it."""

    def __init__(self, app: App, writer: LogWriter) -> None:
        self.served: dict[int, Partition] = {}
        self.app = cast(JobsApp, app)
        self.open(writer)

    @property  # type: ignore[misc] # Faust's can be set, too
    def changelog_topic(self) -> Any:
        """Its name is all that is asked for."""
        return _ChangelogTopic()


class Worker:
    """A process. ``begun`` is called with each handler that begins."""

    def __init__(
        self, kafka: Kafka, name: str, begun: Callable[[Worker, JobId, int], None]
    ) -> None:
        self.name = name
        self.kafka = kafka
        self.loop = StepLoop(kafka.clock)
        self.running: dict[JobId, asyncio.Future[str]] = {}
        self.generation = -1
        self.joined = False
        self.draining = False
        self.drained = False
        self._begun = begun
        self._positions: dict[str, int] = {}
        self._rebalances = 0
        self.connection = Connection(kafka, self.loop)
        self.consumer = Consumer(self.connection, [JOBS, RETRY, CANCEL])
        with self.loop.running():
            self._wire()

    def _wire(self) -> None:
        registry = Registry()
        registry.add(Handler(name="model", function=self._handler))
        app = App(self.consumer, lambda: self.consumer.member(), lambda: self.generation)
        reader = Reader(self.connection)
        writer = LogWriter(lambda: cast(Any, self.connection), WRITE_TIMEOUT_S)
        self.table = table = Table(app, writer)
        dead = DeadLetters(reader, writer, JOBS, DEAD, 10_000)
        retries = Retries(writer, RETRY)
        callers = Callers(registry, 1, Resources(), cast(Any, None))
        self.runner = Runner(table, callers, dead, _LIMITS, self.name, retries.ask)
        retries.runner = self.runner
        intake = Intake(table, self.runner, dead, registry, 10_000)
        jobs = Feed(JOBS, reader, table.served, intake.handle, self._position, self._hold)
        cancels = Cancels(table, self.runner, reader, writer, (JOBS, CANCEL), jobs.places)
        reruns = Feed(RETRY, reader, table.served, retries.handle, self._position, self._hold)
        stops = Feed(CANCEL, reader, table.served, cancels.handle, self._position, self._hold)
        self.feeds = [jobs, reruns, stops]
        takeover = Takeover(
            reader, writer, CHANGELOG, Identity(self.name, self.name), Cache(None, now_ms)
        )
        self.resume = Resume(
            cast(JobsApp, app), table, takeover, self.runner, dead, reader, self.feeds, CHANGELOG
        )
        self.sweeper = Sweeper(table, jobs.places, 0.0)
        self.keys = Keys(reader, Submitter(writer, JOBS, lambda: 1), JOBS, jobs.places)

    @property
    def part(self) -> Partition | None:
        """The partition, while it is served."""
        return self.table.served.get(P)

    async def _handler(self, ctx: Context, data: Any) -> str:
        job_id = ctx.job_id
        self._begun(self, job_id, ctx.attempt)
        future = self.running[job_id] = self.loop.create_future()
        try:
            return await future
        finally:
            if self.running.get(job_id) is future:
                del self.running[job_id]

    def _position(self, topic: str, partition: int) -> int | None:
        return self._positions.get(topic)

    # What happens to a worker

    def rebalance(self, generation: int, assigned: bool, joined: Callable[[], None]) -> None:
        """The group has a new generation: one after the other, as Faust does."""
        self.generation, self._assigned, self._joined = generation, assigned, joined
        self._rebalances += 1
        if self._rebalances == 1:
            self.loop.spawn(self._rebalance())

    async def _rebalance(self) -> None:
        while self._rebalances:
            before = self._rebalances
            self._positions.clear()
            await self.resume.on_revoked()
            self.consumer.assigned = self._assigned
            self._joined()
            await self.resume.on_assigned()
            if self._rebalances == before:
                self._rebalances = 0
                if self.consumer.assigned:
                    self._positions = {
                        feed.topic: self.kafka.committed.get(feed.topic, 0) for feed in self.feeds
                    }

    def sigterm(self) -> None:
        """Drain, then end."""
        if not self.draining:
            self.draining = True
            self.loop.spawn(self._drain())

    async def _drain(self) -> None:
        await self.runner.drain(1.0)
        await self.resume.stop()
        self.drained = True

    async def look(self) -> None:
        """The audit's looks, two of them, and the commit."""
        if self.resume.recovering:
            return
        for _ in range(2):
            for look in (*(f.audit for f in self.feeds), self.resume.watch_changelogs):
                if not self.resume.recovering:
                    await look()
        await self.resume.commit()

    def step(self) -> bool:
        """One step of its own; if it waits, one of Kafka's. False: nothing is to be done."""
        return self.loop.step() or self.connection.serve() or self._deliver()

    def _deliver(self) -> bool:
        for feed in self.feeds:
            place = self._positions.get(feed.topic)
            if place is None:
                continue
            part = self.kafka.topic(feed.topic).slice(place, 1)
            if part.records:
                self._positions[feed.topic] = part.next
                self.offer(feed, part.records)
                return True
        return False

    def _hold(self, topic: str, partition: int, held: bool) -> None:
        """Nothing: no history of the model is as long as a feed's inbox."""

    def offer(self, feed: Feed, records: Sequence[Record]) -> None:
        """Records are delivered."""
        with self.loop.running():
            feed.offer(P, records)

    def kill(self) -> None:
        """``kill -9``."""
        self.loop.kill(self.connection.cut_off)
        self.running.clear()
