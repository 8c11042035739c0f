"""Reads outcomes as they come, as another program would."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks.place import Place


class Tail:
    """``seen``: when each job's first outcome was read (epoch seconds), by its place in the log."""

    def __init__(self, place: Place, topic: str) -> None:
        self.seen: dict[str, float] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": place.kafka,
                "group.id": f"benchmarks-{secrets.token_hex(4)}",
                "enable.auto.commit": False,
                # Apache Kafka answers when there is something; the embedded broker only then.
                "fetch.wait.max.ms": 10,
            }
        )
        every = range(place.partitions)
        self._consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in every])
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._over.is_set():
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            key, value = message.key(), message.value()
            if isinstance(key, bytes) and isinstance(value, bytes) and b'"done"' in value:
                self.seen.setdefault(key.decode().strip('"'), time.time())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._consumer.close()
