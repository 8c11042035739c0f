"""SIGKILL of oneself at a named point, at the n-th time that it is passed.

KILL_AT is ``point:phase:n``. Points: what is written (``ownership``, ``release``, ``mark``, the
rows ``waiting``, ``executing``, ``final`` and ``removed``, ``retry``, ``dead``, ``cancel``,
``submit``) and ``commit``. Phases: ``before`` it is handed to the client; ``sent``, when the
client has it; ``acked``, when Kafka has acknowledged it and nobody here has been told.
"""

from __future__ import annotations

import os
import signal
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.types import TP

from log.line import Entry, Headers, Line, Told
from worker.transport import JobsConsumer

BY_TOPIC = {"retry": "retry", "dead": "dead", "cancel": "cancel", "changelog": "row"}


class KillPoint:
    """Counts the passes of one point, and dies at the last."""

    def __init__(self, spec: str) -> None:
        point, phase, times = spec.split(":")
        self._wanted = (point, phase)
        self._times = int(times)
        self._passed: Counter[tuple[str, str]] = Counter()

    def passed(self, point: str, phase: str) -> None:
        """A point is passed."""
        self._passed[point, phase] += 1
        if (point, phase) == self._wanted and self._passed[point, phase] == self._times:
            os.kill(os.getpid(), signal.SIGKILL)


def point_of(topic: str, entry: Entry) -> str:
    """The name of what is written."""
    kind = BY_TOPIC.get(topic.replace(".", "-").rpartition("-")[2], "submit")
    if kind != "row":
        return kind
    if entry.value is None:
        return "removed"
    value = msgspec.json.decode(entry.value)
    if entry.key == b"owner":
        return "release" if value.get("released") else "ownership"
    if "status" not in value:
        return "mark"
    status = str(value["status"])
    return status if status in ("waiting", "executing") else "final"


def arm(spec: str) -> None:
    """Put the point into the writer and the consumer."""
    at = KillPoint(spec)
    put, commit, send = Line.put, JobsConsumer.commit_places, AIOKafkaProducer.send_batch
    waiting: defaultdict[tuple[str, int], deque[str]] = defaultdict(deque)

    def putting(
        self: Line,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        told: Told,
    ) -> None:
        topic, partition = self._topic, self._partition
        point = point_of(topic, Entry(partition, key, value, headers))

        def acknowledged(offset: int, timestamp: int, error: Exception | None) -> None:
            if error is None:
                at.passed(point, "acked")
            told(offset, timestamp, error)

        at.passed(point, "before")
        waiting[topic, partition].append(point)
        put(self, key, value, headers, acknowledged)

    async def sending(
        self: AIOKafkaProducer, batch: BatchBuilder, topic: str, *, partition: int
    ) -> Any:
        ack = await send(self, batch, topic, partition=partition)
        for _ in range(batch.record_count()):
            at.passed(waiting[topic, partition].popleft(), "sent")
        return ack

    async def committing(self: JobsConsumer, places: Mapping[TP, int]) -> bool:
        at.passed("commit", "before")
        done = await commit(self, places)
        at.passed("commit", "acked")
        return done

    Line.put = putting  # type: ignore[method-assign]
    AIOKafkaProducer.send_batch = sending
    JobsConsumer.commit_places = committing  # type: ignore[method-assign]
