"""From start to stop: topics before anything, hooks into rebalances, chores, the drain."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aiokafka.errors import KafkaError

from agents import tracing
from agents.audit import Audit, Membership, every
from agents.feed import Feed
from agents.hooks import close_resources, open_resources
from agents.resume import Resume
from agents.runner import Runner
from agents.schedules import Scheduler
from agents.sweep import Sweeper
from jobs.resources import Resources
from log.access import OPEN, Access, AccessDenied
from log.reader import LogReader
from log.topics import BrokerError, Cluster, TopicNames, TopicPlan, TopicsError, prepare
from settings import Settings
from tables.cache import Cache
from tables.jobs import JobTable
from tables.rocks import StoreLocked, StoreMissing
from worker.app import JobsApp
from worker.logs import say
from worker.worker import StartError

logger = logging.getLogger(__name__)

COMMIT_S = 1.0
SWEEP_S = 5.0
SCHEDULES_S = 0.25
KEEP_S = 1.0
WATCH_S = 1.0
_FIND_BROKER_S = 60.0
_EMBEDDED_SESSION_S = 4.0  # Tansu lets a join wait for half of the session timeout
_EMBEDDED_FETCH_WAIT_MS = 10  # Tansu doesn't wake a waiting fetch when a record arrives
_SESSION_S = 10.0


class Lifecycle:
    """What happens to a worker as a whole."""

    def __init__(
        self,
        app: JobsApp,
        settings: Settings,
        names: TopicNames,
        table: JobTable,
        cache: Cache,
        runner: Runner,
        resume: Resume,
        feeds: Sequence[Feed],
        readers: Sequence[LogReader],
        resources: Resources,
        scheduler: Scheduler,
    ) -> None:
        self._app = app
        self._settings = settings
        self._names = names
        self._table = table
        self._runner = runner
        self._resume = resume
        self.feeds = feeds
        self._readers = readers
        self._resources = resources
        self._scheduler = scheduler
        self.access: Access = OPEN  # how brokers are reached
        self._cache = cache
        self._sweeper = Sweeper(table, feeds[0].places, settings.keep_s)
        self._audit = Audit(feeds, resume, lambda: app.rebalancing)
        self._membership = Membership(resume, app)
        self._watch: asyncio.Task[None] | None = None
        self.partitions = settings.partitions
        self.draining = False
        self.on_drain: list[Callable[[], None]] = []  # called when it begins
        self._embedded = False
        self._told = ""  # which partitions are ours, as was last told

    def attach(self) -> None:
        """Hook into the app."""
        app = self._app
        app.before_start = self._before_start
        app.before_stop = self._drain
        app.hurry = self._runner.hurry
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        app.on_rebalance_complete.connect(self._on_assigned, weak=False)
        for interval_s, step in (
            (self._settings.audit_s, self._audit.look),
            (COMMIT_S, self._commit),
            (SWEEP_S, self._sweeper.sweep),
            (SCHEDULES_S, self._scheduler.look),
            (KEEP_S, self._keep),
        ):
            app.task(_forever(interval_s, step))

    async def _before_start(self) -> None:
        s = self._settings
        plan = TopicPlan(s.partitions, s.replication, round(s.history_s * 1000), s.max_record_bytes)
        deadline = time.monotonic() + _FIND_BROKER_S
        while True:
            try:
                cluster = await prepare(s.kafka, self._names, plan, self.access)
                break
            except (TopicsError, AccessDenied) as exc:
                raise StartError(str(exc)) from None
            except (BrokerError, KafkaError) as exc:
                again = isinstance(exc, BrokerError) or exc.retriable
                if not again or time.monotonic() > deadline:
                    raise StartError(f"{exc}. Is KAFKA (flag -kh) right?") from None
                say(f"waiting for Kafka at {s.kafka} ({exc})")
                await asyncio.sleep(1.0)
        for warning in cluster.warnings:
            say(warning, level=logging.WARNING)
        self.partitions = cluster.partitions
        self._cache.max_age_ms = cluster.tombstones_ms // 2  # the other half is for slow clocks
        try:
            await self._cache.open()
        except (StoreMissing, StoreLocked) as exc:
            raise StartError(str(exc)) from None
        session_s = s.session_s or (_EMBEDDED_SESSION_S if cluster.embedded else _SESSION_S)
        _check_session(session_s, cluster)
        conf = self._app.conf
        conf.topic_partitions = cluster.partitions
        conf.broker_session_timeout = session_s
        conf.broker_heartbeat_interval = session_s / 4
        # Tansu leaves a join unanswered at times, when members come and go in the middle of it;
        # it is answered when asked again. Elsewhere a join may take a rebalance's whole time.
        conf.broker_request_timeout = (3 if cluster.embedded else 4) * session_s
        conf.broker_rebalance_timeout = session_s if cluster.embedded else 3 * session_s
        await open_resources(self._resources)
        # Faust's own tasks begin after the first assignment, which is what this waits for.
        self._watch = asyncio.create_task(every(WATCH_S, self._membership.look))
        self._embedded = cluster.embedded
        if cluster.embedded:
            self._app.fetch_max_wait_ms = _EMBEDDED_FETCH_WAIT_MS

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        await self._resume.on_revoked()

    async def _on_assigned(self, *_: Any, **__: Any) -> None:
        first = not self._resume.assigned
        self._grow(self._app.shared_out(self._names.changelog))
        await self._resume.on_assigned()
        if first:
            s, lanes = self._settings, self._runner.slots
            slots = " + ".join(str(of) for _, of in lanes.values())
            say(f"topic {s.topic} at {s.kafka}, group {s.app_id}; {slots} slots; {self._served()}")
            url = str(self._app.conf.canonical_url).rstrip("/")
            say(f"ready: {url}/ (page), {url}/job (endpoints); Ctrl-C stops it")
        elif (now := self._served()) != self._told:
            logger.info("the group has settled anew: %s", now)
        self._told = self._served()

    def _grow(self, partitions: int) -> None:
        """The group has shared out partitions that weren't there when we started."""
        if partitions > self.partitions:
            say(f"the topics have {partitions} partitions now; they had {self.partitions}")
            self.partitions = self._app.conf.topic_partitions = partitions

    def _served(self) -> str:
        return f"partitions {ranges(self._table.served)} of {self.partitions} are ours"

    async def _commit(self) -> None:
        if not self._app.rebalancing and not self._resume.recovering:
            await self._resume.commit()

    async def _keep(self) -> None:
        if not self._app.stale():  # else others may have written to our partitions since
            await self._cache.flush(list(self._table.served.values()))

    async def _drain(self) -> None:
        """SIGTERM: no new attempts; running ones may finish; the rest are interrupted and go
        on at the next worker. We stay in the group until then, so that nobody else begins them."""
        self.draining = True
        for each in self.on_drain:
            each()
        if self._watch is not None:
            self._watch.cancel()
        await self._runner.drain(self._settings.grace_s)
        # Tansu is left with a leader that has gone when one leaves while others join: they all
        # become followers, for ever. One that is missed by its session timeout is replaced.
        alone = len(self._app.router.tables_metadata()) <= 1 and not self._app.rebalancing
        self._app.vanish = self._embedded and not alone
        await self._resume.stop()
        await self._cache.close()
        self._runner.callers.close()
        await close_resources(self._resources)
        await tracing.close(self._runner.tracing)
        for reader in self._readers:
            await reader.close()


def _check_session(session_s: float, cluster: Cluster) -> None:
    """Else the group would refuse every join, and the worker wait for ever."""
    if cluster.session_ms is not None:
        least_s, most_s = (limit / 1000 for limit in cluster.session_ms)
        if not least_s <= session_s <= most_s:
            raise StartError(
                f"JOBS_SESSION_TIMEOUT={session_s:g}s: the broker takes {least_s:g}s to "
                f"{most_s:g}s (its group.min.session.timeout.ms and group.max.session.timeout.ms)"
            )


def ranges(numbers: Iterable[int]) -> str:
    """Numbers for people: ``0-3, 7``."""
    found: list[list[int]] = []
    for n in sorted(numbers):
        if found and found[-1][1] == n - 1:
            found[-1][1] = n
        else:
            found.append([n, n])
    return ", ".join(f"{a}-{b}" if a < b else f"{a}" for a, b in found) or "none"


def _forever(interval_s: float, step: Any) -> Any:
    async def chore() -> None:
        await every(interval_s, step)

    return chore
