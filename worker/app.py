"""``faust.App`` with a drain before the stop, and nothing written to disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, cast

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerClosed
from faust.exceptions import NotReady
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.transports import TransportT

from worker.assignor import JobsAssignor
from worker.batches import Batches
from worker.logs import Once
from worker.recovery import JobsTableManager
from worker.transport import JobsConsumer, JobsTransport
from worker.worker import JobsWorker

logger = logging.getLogger(__name__)

METADATA_MS = 10_000  # so long new partitions may go unnoticed; Kafka's clients have 5 minutes

Hook = Callable[[], Awaitable[None]]


class JobsApp(faust.App):
    """The app of a worker. Hooks are set by those who need them (``attach(app, …)``)."""

    fetch_max_wait_ms: int = 100
    """How long the broker may hold a fetch."""

    log_json: bool = False
    """Whether log lines are JSON."""

    worker_name: str = ""
    """Of this worker, for log lines."""

    vanish: bool = False
    """Whether to stop without leaving the group; its session timeout then tells the others."""

    def __init__(self, id: str, **options: Any) -> None:
        self.before_start: Hook | None = None
        self.before_stop: Hook | None = None
        self.once = Once()
        self.hurry: Callable[[], None] | None = None
        super().__init__(
            id,
            Worker=JobsWorker,
            TableManager=JobsTableManager,
            PartitionAssignor=JobsAssignor,
            ConsumerScheduler=Batches,
            autodiscover=False,  # app.py imports and attaches everything itself
            store="memory://",
            # Faust's pages would show rows with no token, and routes nobody asked for.
            web_tables_enabled=False,
            web_router_enabled=False,
            web_graph_enabled=False,
            web_stats_enabled=False,
            web_metrics_enabled=False,
            topic_allow_declare=False,  # all are made before the start, as we want them
            topic_disable_leader=True,  # no leader election topic: nothing here has one leader
            table_standby_replicas=0,
            stream_wait_empty=False,  # True waits without limit for unacknowledged events
            recovery_consistency_check=False,  # it compares with an end that may be too small
            consumer_metadata_max_age_ms=METADATA_MS,
            producer_metadata_max_age_ms=METADATA_MS,
            broker_max_poll_records=500,  # what may still come of a partition that is held
            **options,
        )

    def _create_directories(self) -> None:
        """Make none: rows live in memory and in Kafka."""

    def _new_transport(self) -> TransportT:
        return JobsTransport(self.conf.broker_consumer, self)

    def stale(self) -> bool:
        """Whether the broker may have taken us for dead: no heartbeat was answered for longer
        than the session timeout. While members join there are none, for a rebalance's time."""
        heartbeat_at = cast(JobsConsumer, self.consumer).heartbeat_at
        age_s = time.monotonic() - heartbeat_at
        if not heartbeat_at or age_s <= self._session_s:
            return False
        return not self.rebalancing or age_s > self._session_s + self._rebalance_s

    @cached_property
    def _session_s(self) -> float:  # each row asks, and a setting of Faust's takes its time
        return float(self.conf.broker_session_timeout)

    @cached_property
    def _rebalance_s(self) -> float:
        return float(self.conf.broker_rebalance_timeout)

    def confirmed(self, since: float) -> bool:
        """Whether the group has taken us for a member since then (``time.monotonic()``): by a
        heartbeat, or the last request of a join, that was sent later."""
        return self.answered_at() > since

    def answered_at(self) -> float:
        """``time.monotonic()`` of the last heartbeat that the broker took; 0.0 if none was."""
        consumer = cast(JobsConsumer | None, self._consumer)
        return 0.0 if consumer is None else consumer.heartbeat_at

    def partitions(self) -> int:
        """How many partitions each topic has; known once the worker has looked at them."""
        return int(self.conf.topic_partitions)

    def shared_out(self, topic: str) -> int:
        """How many partitions of a topic the group has shared out; 0 if it isn't known."""
        parts = [p for of in self.router.tables_metadata().values() for p in of.get(topic, ())]
        return max(parts, default=-1) + 1

    def position(self, topic: str, partition: int) -> int | None:
        """The next offset that the consumer is going to deliver, if that can be told."""
        return cast(JobsConsumer, self.consumer).next_offset(TP(topic, partition))

    def hold(self, topic: str, partition: int, held: bool) -> None:
        """Fetch no more of a topic's partition for now, or go on with it."""
        cast(JobsConsumer, self.consumer).hold(TP(topic, partition), held)

    def log_producer(self) -> AIOKafkaProducer:
        """The producer itself, past Faust's buffer of single messages.

        Raises:
            ProducerClosed: the worker is starting or stopping.
        """
        try:
            return cast(driver.Producer, self.producer)._ensure_producer()
        except NotReady:
            raise ProducerClosed from None

    async def stop(self) -> None:
        """Drain while the consumer is still in its group, then stop."""
        if self.before_stop is not None and not self._stopped.is_set():
            hook, self.before_stop = self.before_stop, None
            if not self._crashed.is_set():  # after a crash, recovery is for the next worker
                try:
                    await hook()
                except Exception:
                    logger.exception("the drain failed; the next worker takes up what is left")
        await super().stop()
