"""Topics to their true end, by confluent-kafka."""

from __future__ import annotations

import secrets
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from tests.faults.checker.model import Record

READ_WITHIN_S = 120.0


def names(app_id: str, jobs: str) -> dict[str, str]:
    """The names of an app's topics on the broker, by those that ``model.TOPICS`` has."""
    return {
        "jobs": jobs,
        "retry": f"{jobs}-retry",
        "cancel": f"{jobs}-cancel",
        "dead": f"{jobs}-dead",
        "changelog": f"{app_id}-jobs-changelog",
    }


def read(kafka: str, topic: str, partitions: int) -> list[Record]:
    """All records of a topic, by partition and offset.

    Raises:
        TimeoutError: its ends aren't reached.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": f"observer-{secrets.token_hex(4)}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # An end is where a fetch answer says so, which is right on every broker.
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
    )
    found: list[Record] = []
    ended: set[int] = set()
    deadline = time.monotonic() + READ_WITHIN_S
    try:
        consumer.assign([TopicPartition(topic, n, OFFSET_BEGINNING) for n in range(partitions)])
        while len(ended) < partitions:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic} can't be read to its end in {READ_WITHIN_S:g}s")
            for message in consumer.consume(1000, 0.5):
                error, partition = message.error(), message.partition()
                if error is None:
                    found.append(_record(message))
                elif error.name() == "_PARTITION_EOF" and partition is not None:
                    ended.add(partition)
        return sorted(found, key=lambda record: record[:2])
    finally:
        consumer.close()


def read_all(kafka: str, topics: dict[str, str], partitions: int) -> dict[str, list[Record]]:
    """Every topic of an app."""
    return {short: read(kafka, name, partitions) for short, name in topics.items()}


def _record(message: Message) -> Record:
    headers = {k: v for k, v in dict(message.headers() or []).items() if isinstance(v, bytes)}
    partition, offset = message.partition(), message.offset()
    key, value = message.key(), message.value()
    assert partition is not None  # what the client's types leave open, a record that was read has
    assert offset is not None
    assert not isinstance(key, str)
    assert not isinstance(value, str)
    return Record(partition, offset, message.timestamp()[1], key, value, headers)
