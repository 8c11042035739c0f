"""Faust's Kafka driver with what it doesn't offer: fetch wait, committed places, heartbeats."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import CommitFailedError, IllegalStateError
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from log.patience import ANSWER_S, answers_within, waits_for_brokers
from worker.batches import message_of
from worker.coordination import attend, rejoin

if TYPE_CHECKING:  # the app makes this transport
    from worker.app import JobsApp


LOOK_EVERY_S = 0.002
"""How often it is looked for records at most. One that comes alone is taken at once; of a stream of
them those of 2 ms are taken together, which costs much less than one after another."""
HELD_LOOK_S = 0.01
"""How long a look takes while some partitions are held."""


class JobsConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that speaks to the consumer group."""

    app: JobsApp
    consumer: JobsConsumer

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        request_s = self.app.conf.broker_request_timeout
        answers_within(consumer._client, min(ANSWER_S, request_s), coordination_s=request_s)
        waits_for_brokers(consumer._client, lambda: self.should_stop)
        # Faust 0.15.3 fixes fetch_max_wait_ms at 1500. Apache Kafka wakes a waiting fetch
        # when a record arrives, but of the partitions that it was asked about: those whose
        # records we had in hand at that time must wait for its end. Tansu wakes none and
        # answers after half of the wait.
        consumer._fetch_max_wait_ms = self.app.fetch_max_wait_ms
        return consumer

    async def on_start(self) -> None:
        """Start the consumer, and look after its part in the group."""
        await super().on_start()
        coordinator = self._ensure_consumer()._coordinator
        if hasattr(coordinator, "_do_heartbeat"):  # else a consumer in no group
            attend(coordinator, self.app.conf.broker_session_timeout, self._heartbeat_at)

    def _heartbeat_at(self, at: float) -> None:
        self.consumer.heartbeat_at = at

    async def on_thread_stop(self) -> None:
        """Leave the group, or let the broker notice that we are gone."""
        if self.app.vanish and self._consumer is not None:
            coordinator = self._consumer._coordinator

            async def vanish() -> None:
                coordinator.reset_generation()

            coordinator._maybe_leave_group = vanish
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            # aiokafka 0.14: the end of a fetch that waits for a lost connection comes out of the
            # consumer's `stop` so, which then leaves open what it would have closed next.
            task = asyncio.current_task()
            if self._consumer is None or (task is not None and task.cancelling()):
                raise
            await self._consumer._coordinator.close()
            await self._consumer._client.close()

    async def rejoin(self) -> None:
        """Leave the group and join it again as a new member."""
        coordinator = self._ensure_consumer()._coordinator
        await self.call_thread(rejoin, coordinator)

    def next_offset(self, tp: TP) -> int | None:
        """The next offset that is delivered; ``None`` while it isn't known."""
        assignment = self._ensure_consumer()._subscription.subscription.assignment
        state = assignment.state_value(driver.ensure_aiokafka_TP(tp)) if assignment else None
        return None if state is None else state._position

    async def committed(self, tps: list[TP]) -> dict[TP, int | None]:
        """The group's committed place of each partition; ``None`` where there is none."""
        consumer = self._ensure_consumer()

        async def ask() -> dict[TP, int | None]:
            return {tp: await consumer.committed(driver.ensure_aiokafka_TP(tp)) for tp in tps}

        return await self.call_thread(ask)  # type: ignore[no-any-return] # mode: Any

    async def commit_places(self, places: Mapping[TP, int]) -> bool:
        """Commit what of this is assigned to us; false if the group rebalances.

        Faust's own ``commit`` ends the worker at any error.

        Raises:
            KafkaError: the broker refuses it.
        """
        consumer = self._ensure_consumer()

        async def commit() -> bool:
            ours = consumer.assignment()
            offsets = {driver.ensure_aiokafka_TP(tp): place for tp, place in places.items()}
            kept = {tp: (n, "") for tp, n in offsets.items() if tp in ours}
            if not kept:  # all have gone meanwhile; aiokafka would call it an error
                return True
            try:
                await consumer.commit(kept)
            except (CommitFailedError, IllegalStateError):
                return False
            return True

        return await self.call_thread(commit)  # type: ignore[no-any-return] # mode: Any


class JobsConsumer(driver.Consumer):
    """Commits places that we name, instead of those that Faust works out from acknowledgements.

    ``Consumer._new_offset`` (Faust 0.15.3) commits past an unfinished record whose neighbours
    are acknowledged (faust-streaming issue 606). Our places are contiguous by the audit, so no
    message is ever acknowledged to Faust, and Faust's own commits have nothing to do.
    """

    _looked_at = 0.0  # by the loop's clock

    heartbeat_at: float = 0.0
    """``time.monotonic()`` when the last heartbeat, or join, that the broker took was sent."""

    _thread: JobsConsumerThread

    def _new_consumer_thread(self) -> JobsConsumerThread:
        return JobsConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def committed(self, tps: list[TP]) -> dict[TP, int | None]:
        """The group's committed place of each partition; ``None`` where there is none."""
        return await self._thread.committed(tps)

    def next_offset(self, tp: TP) -> int | None:
        """The next offset that is delivered; ``None`` while it isn't known."""
        try:
            return self._thread.next_offset(tp)
        except (AttributeError, ConsumerNotStarted):  # between two subscriptions
            return None

    def hold(self, tp: TP, held: bool) -> None:
        """Fetch no more of a partition for now, or go on with it. What has been fetched of it
        is still delivered: Faust drops that of paused partitions, but not of buffered ones.

        Faust does the same when a topic's channel (4,096 records) is four fifths full, which is
        too late: of each partition a whole poll may still come, and a full channel stops the
        delivery of all topics.
        """
        active = self._get_active_partitions()
        if held:
            active.discard(tp)
            self._buffered_partitions.add(tp)
        else:
            self._buffered_partitions.discard(tp)
            if tp in self.assignment():
                active.add(tp)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        loop = asyncio.get_running_loop()
        early_s = self._looked_at + LOOK_EVERY_S - loop.time()
        if early_s > 0:
            await asyncio.sleep(early_s)
        # What is held is left out of this look, and comes back only with the next one: it mustn't
        # wait a second for topics that have nothing.
        if self._buffered_partitions:
            timeout = min(timeout, HELD_LOOK_S)
        found = await super()._getmany(active_partitions, timeout)
        self._looked_at = loop.time()
        return found

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing. A message of many records looks like a gap to Faust, which would keep it for a
        commit of its own; and it makes none."""

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        return message_of(tp, record, self.app.consumer_generation_id)

    async def rejoin(self) -> None:
        """Leave the group and join it again as a new member."""
        await self._thread.rejoin()

    async def commit_places(self, places: Mapping[TP, int]) -> bool:
        """Commit for each partition the next place to read. False: the group rebalances.

        Raises:
            KafkaError: the broker refuses it.
        """
        return await self._thread.commit_places(places)


class JobsProducer(driver.Producer):
    """Waits for all copies, and asks another broker while there is time to."""

    def _settings_extra(self) -> Mapping[str, Any]:
        # Faust would take PRODUCER_ACKS from the environment, before what the app says.
        return {**super()._settings_extra(), "acks": "all"}

    def _new_producer(self, transactional_id: str | None = None) -> AIOKafkaProducer:
        producer = super()._new_producer(transactional_id)
        # A record has `request_timeout` in all. Not at once: a leader waits for a copy that is
        # gone until the controller has noticed, which takes 9 s by default, and what is sent
        # again may be in the log twice.
        answers_within(producer.client, 0.4 * self.request_timeout)
        waits_for_brokers(producer.client, lambda: self.should_stop)
        return producer


class JobsTransport(driver.Transport):
    """Makes our consumer and our producer."""

    Consumer = JobsConsumer
    Producer = JobsProducer
