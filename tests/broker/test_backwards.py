"""Reading a topic backwards, and by time."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import Producer

from log.backwards import Tail
from log.reader import LogReader

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]
COUNT = 100


@pytest_asyncio.fixture
async def reader(kafka: str) -> AsyncIterator[LogReader]:
    made = LogReader(kafka)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def topic(kafka: str) -> str:
    """A record each second, in batches of ten."""
    name = f"back-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1)])
    await admin.close()
    client = Producer({"bootstrap.servers": kafka, "linger.ms": 50})
    for i in range(COUNT):
        client.produce(name, b"%d" % i, partition=0, timestamp=(i + 1) * 1000)
        if i % 10 == 9:
            assert client.flush(30) == 0
    return name


@pytest.mark.parametrize(("start", "before", "step"), [(0, COUNT, 7), (20, 61, 1000), (5, 5, 3)])
async def test_a_tail_has_each_record_once_the_last_one_first(
    reader: LogReader, topic: str, start: int, before: int, step: int
) -> None:
    tail = Tail(reader, topic, 0, start, before, step)
    found = []
    await tail.fill()
    while tail.head is not None:
        found.append(tail.take().offset)
        assert tail.before == found[-1]
        await tail.fill()
    assert found == list(range(before - 1, start - 1, -1))


@pytest.mark.parametrize(
    ("time_ms", "place"), [(0, 0), (1000, 0), (1001, 1), (50_000, 49), (100_000, 99), (10**9, 100)]
)
async def test_the_first_place_at_or_after_a_time(
    reader: LogReader, topic: str, time_ms: int, place: int
) -> None:
    assert await reader.since(topic, 0, time_ms, near=0) == place
    near = await reader.since(topic, 0, time_ms, near=20)
    assert max(0, place - 20) <= near <= place
