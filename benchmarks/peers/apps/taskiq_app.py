"""Tasks for taskiq on Kafka."""

from __future__ import annotations

import asyncio
import os

from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.partitioner import DefaultPartitioner
from taskiq_aio_kafka import AioKafkaBroker

from .asked import chunks, jobs, kind
from .note import note

TAG = os.environ["BENCH_TAG"]
broker = AioKafkaBroker(bootstrap_servers=os.environ["BENCH_KAFKA"], kafka_topic=f"{TAG}-jobs")
# Unless given, both come from kafka-python, and those of today don't work with aiokafka any more.
broker.configure_producer(acks="all", linger_ms=5, partitioner=DefaultPartitioner())
broker.configure_consumer(
    group_id=TAG,
    auto_offset_reset="earliest",
    session_timeout_ms=6_000,
    partition_assignment_strategy=(RoundRobinPartitionAssignor,),
)


@broker.task(task_name="noop")
async def noop(n: int, ms: int) -> None:
    """Nothing but a note: the broker keeps no outcome that could be counted."""
    note(n)


@broker.task(task_name="pause")
async def pause(n: int, ms: int) -> None:
    """Waits."""
    await asyncio.sleep(ms / 1000)
    note(n)


@broker.task(task_name="noted")
async def noted(n: int, ms: int) -> None:
    """Waits, and leaves a note that it has run."""
    await asyncio.sleep(ms / 1000)
    note(n)


async def feed() -> None:
    """Many at a time, which share batches."""
    await broker.startup()
    task = {"noop": noop, "pause": pause, "noted": noted}[kind()]
    for chunk in chunks(jobs(), 500):
        await asyncio.gather(*(task.kicker().with_broker(broker).kiq(n, ms) for n, ms in chunk))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(feed())
