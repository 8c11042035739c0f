"""Three brokers that are one cluster: what is acknowledged outlives any one of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

import log.reader
from log.reader import LogReader
from log.topics import TopicNames, TopicPlan, prepare
from tests.harness import ROOT, until
from tests.kafka import ApacheKafkaCluster

# One cluster at a time: three JVMs are enough for two cores.
pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("three-brokers"),
]
NODES = {1, 2, 3}
ROUNDS = 2


def in_sync(three: ApacheKafkaCluster, topic: str) -> bool:
    return all(nodes == NODES for nodes in three.in_sync(topic))


def values(three: ApacheKafkaCluster, topic: str) -> set[bytes]:
    """All values of a topic with one partition."""
    settings = {"bootstrap.servers": three.address, "group.id": "none", "enable.auto.commit": False}
    consumer = Consumer({**settings, "auto.offset.reset": "earliest"})
    partition = TopicPartition(topic, 0, 0)

    def end() -> int | None:
        try:
            return consumer.get_watermark_offsets(partition, timeout=5)[1]
        except KafkaException:  # a new leader doesn't know at once how far its copies are
            return None

    try:
        consumer.assign([partition])
        wanted = until(end, 30, "the new leader knows its end")
        found: list[Message] = []
        while len(found) < wanted:
            found.extend(m for m in consumer.consume(wanted - len(found), 20) if m.error() is None)
        return {bytes(m.value() or b"") for m in found}
    finally:
        consumer.close()


def test_acknowledged_records_outlive_their_leader_which_comes_back(
    three: ApacheKafkaCluster,
) -> None:
    admin = AdminClient({"bootstrap.servers": three.address})
    topic = NewTopic("t", 1, 3, config={"min.insync.replicas": "2"})
    admin.create_topics([topic])["t"].result(20)
    until(lambda: in_sync(three, "t"), 30, "all copies are in sync")
    acknowledged: set[bytes] = set()

    def report(error: Any, message: Message) -> None:
        if error is None:
            acknowledged.add(bytes(message.value() or b""))

    producer = Producer(
        {"bootstrap.servers": three.address, "acks": "all", "enable.idempotence": True}
    )
    (leader,) = three.leaders("t")
    for i in range(3000):
        producer.produce("t", b"%d" % i, on_delivery=report)
        producer.poll(0)
        if len(acknowledged) > 500 and three.brokers[leader].alive:
            three.brokers[leader].kill()  # some records are on their way
    assert producer.flush(60) == 0
    if three.brokers[leader].alive:  # all of them were quicker than their reports
        three.brokers[leader].kill()
    assert acknowledged
    (other,) = until(
        lambda: three.leaders("t") if three.leaders("t")[0] not in (-1, leader) else None,
        30,
        "another leader",
    )
    assert other in NODES - {leader}
    assert acknowledged <= values(three, "t")

    three.brokers[leader].start()
    until(lambda: in_sync(three, "t"), 60, "the one that came back has all records")
    three.brokers[other].kill()  # what it has fetched meanwhile is now needed
    until(lambda: three.leaders("t")[0] not in (-1, other), 30, "a third leader")
    assert acknowledged <= values(three, "t")


def test_topics_with_three_copies_are_acknowledged_by_two(three: ApacheKafkaCluster) -> None:
    names = TopicNames.of("jobs", "app", "jobs")
    cluster = asyncio.run(prepare(three.address, names, TopicPlan(4, 3, 60_000, 2_100_000)))
    assert cluster.warnings == ()
    admin = AdminClient({"bootstrap.servers": three.address})
    for name in names.all():
        assert all(len(nodes) == 3 for nodes in three.in_sync(name))
        resource = ConfigResource(ResourceType.TOPIC, name)
        entries = admin.describe_configs([resource])[resource].result(20)
        assert entries["min.insync.replicas"].value == "2", name
        assert entries["unclean.leader.election.enable"].value == "false", name

    # A topic that is there and isn't so is told.
    names = TopicNames.of("others", "other", "jobs")
    weak = NewTopic("others", 4, 3, config={"min.insync.replicas": "1"})
    admin.create_topics([weak])["others"].result(20)
    cluster = asyncio.run(prepare(three.address, names, TopicPlan(4, 3, 60_000, 2_100_000)))
    (warning,) = cluster.warnings
    assert "topic others has min.insync.replicas=1" in warning
    assert "kafka-configs" in warning


@pytest.mark.usefixtures("java")
def test_a_command_beside_several_has_all_addresses() -> None:
    code = "import os; print(os.environ['KAFKA'])"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.kafka", "--brokers", "2", sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"KAFKA": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    said, addresses = ended.stdout.splitlines()
    assert len(addresses.split(",")) == 2
    assert addresses in said


def test_only_the_leader_is_asked_how_far_the_log_goes(
    three: ApacheKafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that takes a copy's broker for the leader, since it was: it must learn better. The
    copy may lack the newest records, or not know yet that all have them."""
    admin = AdminClient({"bootstrap.servers": three.address})
    admin.create_topics([NewTopic("t", 1, 3, config={"min.insync.replicas": "2"})])["t"].result(20)
    until(lambda: in_sync(three, "t"), 30, "all copies are in sync")
    (leader,) = three.leaders("t")
    copy = min(NODES - {leader})
    asked: list[int] = []
    right = log.reader._leader

    def wrong_at_first(client: AIOKafkaClient, topic: str, partition: int) -> int:
        asked.append(right(client, topic, partition) if asked else copy)
        return asked[-1]

    async def read() -> int:
        producer = AIOKafkaProducer(bootstrap_servers=three.address, acks="all")
        reader = LogReader(three.address)
        async with producer:
            await producer.send_and_wait("t", b"1", partition=0)
        monkeypatch.setattr(log.reader, "_leader", wrong_at_first)
        try:
            return (await reader.fetch("t", {0: 0}))[0].end
        finally:
            await reader.close()

    assert asyncio.run(read()) == 1
    assert asked[0] == copy
    assert asked[1:], "the copy answered"
    assert set(asked[1:]) == {leader}


def test_a_leader_that_is_new_hides_no_acknowledged_record(three: ApacheKafkaCluster) -> None:
    """It was a copy, and doesn't know at first how much of what it has is acknowledged."""
    admin = AdminClient({"bootstrap.servers": three.address})
    admin.create_topics([NewTopic("t", 1, 3, config={"min.insync.replicas": "2"})])["t"].result(20)

    async def read() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=three.address, acks="all")
        reader = LogReader(three.address)
        async with producer:
            for n in range(ROUNDS):
                await asyncio.to_thread(until, lambda: in_sync(three, "t"), 60, "all are in sync")
                (leader,) = three.leaders("t")
                await producer.send_and_wait("t", b"1", partition=0)
                three.brokers[leader].kill()
                # Of the leader that has gone or of the next one: each answer is right.
                while three.leaders("t")[0] in (-1, leader):
                    assert (await reader.fetch("t", {0: n}))[0].end == n + 1
                assert (await reader.fetch("t", {0: n}))[0].end == n + 1
                three.brokers[leader].start()
        await reader.close()

    asyncio.run(read())
