"""What we need of a broker, and how we read it: topics, slices by place, true ends."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import Producer

from log.reader import LogReader, Record
from log.topics import BrokerError, TopicNames, TopicPlan, TopicsError, prepare
from log.writer import Entry, LogWriter, NotWritten
from tests.harness import free_port

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]
PLAN = TopicPlan(partitions=3, replication=1, history_ms=1000, max_record_bytes=2_000_000)


@pytest_asyncio.fixture
async def reader(kafka: str) -> AsyncIterator[LogReader]:
    made = LogReader(kafka)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", max_request_size=3_000_000)
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def topic(kafka: str) -> str:
    name = f"log-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, 3, 1)])
    await admin.close()
    return name


def one_batch(kafka: str, topic: str, count: int, partition: int = 0) -> None:
    """``count`` records in one batch, as another client sends them."""
    client = Producer({"bootstrap.servers": kafka, "linger.ms": 200})
    for i in range(count):
        client.produce(topic, b"%d" % i, b"key", partition, headers=[("n", b"%d" % i)])
    assert client.flush(30) == 0


async def test_records_of_a_partition_keep_the_order_in_which_they_are_written(
    kafka: str, topic: str, reader: LogReader
) -> None:
    """Also when some wait for a batch that is full, and others come when it has just gone."""
    small = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", max_batch_size=2_000)
    values = [b"%d " % n + b"x" * 99 for n in range(3_000)]
    async with small:
        writer = LogWriter(lambda: small, 10.0)
        async with asyncio.TaskGroup() as group:
            for value in values:
                group.create_task(writer.write(topic, [Entry(0, None, value)]))
                await asyncio.sleep(0)
    found = await reader.read(topic, 0, 0, len(values))
    assert [record.value for record in found] == values


async def test_the_end_is_right_after_a_batch_of_many(
    kafka: str, topic: str, reader: LogReader
) -> None:
    assert await reader.ends(topic, [0, 1, 2]) == {0: 0, 1: 0, 2: 0}
    one_batch(kafka, topic, 100)
    assert await reader.ends(topic, [0, 1]) == {0: 100, 1: 0}
    assert await reader.starts(topic, [0, 1]) == {0: 0, 1: 0}


async def test_slices(kafka: str, topic: str, reader: LogReader) -> None:
    one_batch(kafka, topic, 100)
    found = await reader.read(topic, 0, 30, 40)
    assert [(r.offset, r.value) for r in found] == [(n, b"%d" % n) for n in range(30, 40)]
    assert (found[0].key, list(found[0].headers)) == (b"key", [("n", b"30")])
    assert found[0].timestamp > 1_700_000_000_000, "milliseconds"
    assert [r.offset for r in await reader.read(topic, 0, 95, 200)] == [95, 96, 97, 98, 99]
    assert await reader.read(topic, 0, 100, 200) == []
    assert await reader.read(topic, 0, 5, 5) == []
    assert (await reader.record(topic, 0, 99) or found[0]).value == b"99"
    assert await reader.record(topic, 0, 100) is None
    assert await reader.record(topic, 0, 10**15) is None
    assert await reader.record(topic, 1, 0) is None


async def test_one_record_of_each_of_several_partitions(
    kafka: str, topic: str, reader: LogReader
) -> None:
    """Apache Kafka fills an answer up to its bytes, and only the first partition that has
    something gets a batch beyond them: the others are empty, though they have records."""
    for partition in range(3):
        one_batch(kafka, topic, 10, partition)
    found = await reader.fetch(topic, dict.fromkeys(range(3), 4), limit=1)
    assert {p: [r.offset for r in part.records] for p, part in found.items()} == {
        0: [4],
        1: [4],
        2: [4],
    }


async def test_a_scan_reads_all_partitions_to_their_ends(
    kafka: str, topic: str, reader: LogReader
) -> None:
    for partition, count in ((0, 700), (2, 3)):
        one_batch(kafka, topic, count, partition)
    found: dict[int, list[Record]] = {0: [], 1: [], 2: []}
    async for step in reader.scan(topic, {0: 0, 1: 0, 2: 1}):
        for partition, part in step.items():
            found[partition] += part.records
    assert [r.offset for r in found[0]] == list(range(700))
    assert found[1] == []
    assert [r.offset for r in found[2]] == [1, 2]


async def test_what_is_acknowledged_is_found_at_once(
    topic: str, reader: LogReader, producer: AIOKafkaProducer
) -> None:
    """A busy broker may answer a fetch with nothing; that must not pass for an end."""

    async def write_and_read() -> None:
        for _ in range(200):
            partition = random.randrange(3)
            meta = await producer.send_and_wait(topic, b"x", partition=partition)
            assert await reader.record(topic, partition, meta.offset) is not None
            assert await reader.end(topic, partition) > meta.offset

    await asyncio.gather(*[write_and_read() for _ in range(10)])


async def test_the_writer_waits_for_acknowledgements(
    topic: str, reader: LogReader, producer: AIOKafkaProducer
) -> None:
    writer = LogWriter(lambda: producer, 10.0)
    entries = [Entry(0, b"k", b"%d" % i, [("h", b"v")]) for i in range(50)]
    metas = await writer.write(topic, [*entries, Entry(0, b"gone", None)])
    assert [m.offset for m in metas] == list(range(51)), "in order"
    last = await reader.record(topic, 0, 50)
    assert last is not None
    assert (last.key, last.value) == (b"gone", None)
    with pytest.raises(NotWritten, match="MessageSizeTooLargeError"):
        await writer.write(topic, [Entry(0, b"k", b"x" * 4_000_000)])


async def test_what_is_too_large_is_refused_behind_others_too(
    topic: str, reader: LogReader, producer: AIOKafkaProducer
) -> None:
    """A batch takes no more than a request holds, but for its first record."""
    writer = LogWriter(lambda: producer, 10.0)
    large = Entry(0, b"k", b"x" * 4_000_000)
    with pytest.raises(NotWritten, match="MessageSizeTooLargeError"):
        await writer.write(topic, [Entry(0, b"k", b"0"), large, Entry(0, b"k", b"1"), large])
    (last,) = await writer.write(topic, [Entry(0, b"k", b"2")])
    found = await reader.read(topic, 0, 0, last.offset + 1)
    assert [record.value for record in found] == [b"0", b"1", b"2"]


async def test_the_writer_gives_up_in_time(topic: str, producer: AIOKafkaProducer) -> None:
    writer = LogWriter(lambda: producer, 10.0)
    with pytest.raises(NotWritten, match=r"didn't acknowledge in 0\.001s"):
        await writer.write(topic, [Entry(0, b"k", b"x" * 1_000_000)] * 20, timeout_s=0.001)


async def test_topics_are_made_and_found_again(kafka: str) -> None:
    names = TopicNames.of(f"made-{secrets.token_hex(4)}", f"app-{secrets.token_hex(4)}", "jobs")
    both = await asyncio.gather(prepare(kafka, names, PLAN), prepare(kafka, names, PLAN))
    assert {cluster.partitions for cluster in both} == {3}
    other = TopicPlan(partitions=99, replication=1, history_ms=1, max_record_bytes=2_000_000)
    assert (await prepare(kafka, names, other)).partitions == 3, "what is there counts"


async def test_topics_that_do_not_agree_stop_the_start(kafka: str, topic: str) -> None:
    names = TopicNames(topic, f"{topic}-r", f"{topic}-c", f"{topic}-d", f"{topic}-log")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(names.retry, 5, 1)])
    await admin.close()
    with pytest.raises(TopicsError, match=rf"{topic} has 3, {topic}-r has 5.*topics --grow 5"):
        await prepare(kafka, names, PLAN)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"cleanup.policy": "delete"}, "cleanup.policy=delete: jobs would be lost"),
        ({"cleanup.policy": "compact", "max.message.bytes": "1000"}, "takes records of 1000 bytes"),
    ],
)
async def test_a_changelog_that_would_lose_rows_stops_the_start(
    kafka: str, config: dict[str, str], says: str
) -> None:
    names = TopicNames.of(f"bad-{secrets.token_hex(4)}", f"app-{secrets.token_hex(4)}", "jobs")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(names.changelog, 3, 1, topic_configs=config)])
    await admin.close()
    with pytest.raises(TopicsError, match=says):
        await prepare(kafka, names, PLAN)


async def test_a_broker_that_is_not_there() -> None:
    names = TopicNames.of("t", "a", "jobs")
    with pytest.raises(BrokerError, match="can't be reached"):
        await prepare(f"127.0.0.1:{free_port()}", names, PLAN)
