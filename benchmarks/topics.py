"""Kafka topics as seen from outside, by a client that no peer's worker uses."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from benchmarks.place import Place
from benchmarks.processes import PeerError

T = TypeVar("T")

AT_ONCE = 5_000
READ_WITHIN_S = 60.0  # so long nothing of it could be read
LOOK_EVERY_S = 0.25
QUIET_S = 1.5  # so long nothing has come: the log may be whole
STUCK_S = 45.0  # so long nothing has come, and it isn't


class Record(NamedTuple):
    """``at``: its timestamp, epoch seconds."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    at: float


def make(kafka: str, name: str, partitions: int) -> None:
    """A topic with one copy, as all peers have it here."""
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1)
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 3})  # it chats at its end
    for made in admin.create_topics([topic]).values():
        made.result(30)


def produce(kafka: str, topic: str, partitions: int, values: Iterable[bytes]) -> None:
    """Spread over the partitions in turn, and acknowledged."""
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "linger.ms": 20,
            "acks": "all",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for n, value in enumerate(values):
        producer.produce(topic, value, partition=n % partitions)
        if n % 1_000 == 0:
            producer.poll(0)
    left = producer.flush(60)
    if left:
        raise PeerError(f"{topic}: the broker has not taken {left} records")


def produce_at(place: Place, topic: str, values: Iterable[bytes], rate: float) -> None:
    """So many a second, whatever becomes of them. Noted are its number, when it was due, and its
    place in the log; due, so that a producer that is late makes nothing look quicker."""
    producer = Producer({"bootstrap.servers": place.kafka, "linger.ms": 0, "acks": "all"})
    noted: list[tuple[int, float, str]] = []

    def report(n: int, due: float) -> Callable[[object, Message], None]:
        def taken(error: object, message: Message) -> None:
            if error is None:
                noted.append((n, due, f"{message.partition()}-{message.offset()}"))

        return taken

    began = time.time()
    for n, value in enumerate(values):
        due = began + n / rate
        while (wait_s := due - time.time()) > 0:
            producer.poll(min(wait_s, 0.01))
        producer.produce(topic, value, partition=n % place.partitions, on_delivery=report(n, due))
        producer.poll(0)
    left = producer.flush(60)
    if left:
        raise PeerError(f"{topic}: the broker has not taken {left} records")
    lines = (f"{n} {round(due * 1e9)} {id}\n" for n, due, id in noted)
    place.submitted.write_text("".join(lines))


def read(kafka: str, topic: str, partitions: int) -> Iterator[Record]:
    """All records of a topic, by partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": f"benchmarks-{secrets.token_hex(4)}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
    )
    heard_at = time.monotonic()
    try:
        for partition in range(partitions):
            consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
            ended = False
            while not ended:
                messages = consumer.consume(AT_ONCE, 0.5)
                if any(message.error() is None for message in messages):
                    heard_at = time.monotonic()
                elif time.monotonic() - heard_at > READ_WITHIN_S:
                    raise PeerError(f"{topic} can't be read to its end")
                for message in messages:
                    error = message.error()
                    if error is not None:
                        ended = ended or error.name() == "_PARTITION_EOF"
                        continue
                    offset, key, value = message.offset(), message.key(), message.value()
                    yield Record(
                        partition,
                        -1 if offset is None else offset,
                        key if isinstance(key, bytes) else b"",
                        value if isinstance(value, bytes) else b"",
                        message.timestamp()[1] / 1000,
                    )
    finally:
        consumer.close()


class Ends:
    """How far a topic goes. Only its changes are used: the embedded broker reports an end that is
    behind by part of the last batch."""

    def __init__(self, kafka: str, topic: str, partitions: int) -> None:
        self._places = [TopicPartition(topic, n) for n in range(partitions)]
        self._consumer = Consumer({"bootstrap.servers": kafka, "group.id": "benchmarks-ends"})

    def sum(self) -> int:
        """Over its partitions; 0 while it isn't there."""
        try:
            ends = [self._consumer.get_watermark_offsets(each, 10)[1] for each in self._places]
        except KafkaException:
            return 0
        return sum(ends)

    def close(self) -> None:
        self._consumer.close()


def settled(
    ends: Ends, look: Callable[[], T], whole: Callable[[T], bool], check: Callable[[], None]
) -> T:
    """Waits until the topic is quiet, and what ``look`` reads in it is whole, or until nothing
    comes any more. It is not read while records come: that would take processor time from the
    worker.

    Raises:
        PeerError: ``check`` says that the worker is gone.
    """
    end, changed_at, looked_at = ends.sum(), time.monotonic(), -1
    while True:
        check()
        time.sleep(LOOK_EVERY_S)
        now_end, now = ends.sum(), time.monotonic()
        if now_end != end:
            end, changed_at = now_end, now
        elif now - changed_at > QUIET_S and end != looked_at:
            found, looked_at = look(), end
            if whole(found):
                return found
        elif now - changed_at > STUCK_S:
            return look()
