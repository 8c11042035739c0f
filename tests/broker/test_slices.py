"""Slices of topics: whole, by time, and while others write."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import Producer

from inspection.slices import Extent, extents, length, scan
from inspection.wanted import Span
from log.reader import LogReader

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]
COUNT = 1_000
MINUTE = 60_000


@pytest_asyncio.fixture
async def reader(kafka: str) -> AsyncIterator[LogReader]:
    made = LogReader(kafka, fetch_bytes=2_000)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def topic(kafka: str) -> str:
    """A record each minute of partition 0, in batches of ten; partition 1 is empty."""
    name = f"slices-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, 2, 1)])
    await admin.close()
    client = Producer({"bootstrap.servers": kafka, "linger.ms": 50})
    for i in range(COUNT):
        client.produce(name, b"%d" % i, partition=0, timestamp=(i + 1) * MINUTE)
        if i % 10 == 9:
            assert client.flush(30) == 0
    return name


async def read(reader: LogReader, topic: str, partition: int, extent: Extent) -> list[int]:
    advanced = 0

    def advance(count: int) -> None:
        nonlocal advanced
        advanced += count

    found: list[int] = []
    async for records in scan(reader, topic, partition, extent, advance):
        found.extend(int(each.value or b"") for each in records)
    assert advanced == max(0, extent.stop - extent.start)
    return found


async def test_all_of_it(reader: LogReader, topic: str) -> None:
    found = await extents(reader, topic, [0, 1])
    assert found == {0: Extent(0, COUNT), 1: Extent(0, 0)}
    assert length(found) == COUNT
    assert await read(reader, topic, 0, found[0]) == list(range(COUNT))
    assert await read(reader, topic, 1, found[1]) == []


async def test_a_part_begins_and_ends_inside_of_batches(reader: LogReader, topic: str) -> None:
    assert await read(reader, topic, 0, Extent(13, 317)) == list(range(13, 317))


async def test_what_is_written_meanwhile_is_not_read(
    kafka: str, reader: LogReader, topic: str
) -> None:
    found = await extents(reader, topic, [0])
    client = Producer({"bootstrap.servers": kafka})
    client.produce(topic, b"9999", partition=0)
    assert client.flush(30) == 0
    assert await read(reader, topic, 0, found[0]) == list(range(COUNT))


@pytest.mark.parametrize(
    ("since", "until"), [(None, 400), (400, None), (300, 500), (0, 1), (COUNT + 1_000, None)]
)
async def test_by_time_no_record_of_the_span_is_left_out(
    reader: LogReader, topic: str, since: int | None, until: int | None
) -> None:
    span = Span(since and since * MINUTE, until and until * MINUTE)
    found = await extents(reader, topic, [0, 1], span)
    assert found[1] == Extent(0, 0)
    start, stop = found[0]
    inside = [i for i in range(COUNT) if (i + 1) * MINUTE in span]
    assert set(inside) <= set(range(start, stop))
    assert stop - start <= len(inside) + 500  # it is found, not scanned
