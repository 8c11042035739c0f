"""SIGKILL of oneself at a named point, at the n-th time that it is passed.

KILL_AT is ``point:phase:n``. Points: what is written (``ownership``, ``release``, ``mark``, the
rows ``waiting``, ``executing``, ``final`` and ``removed``, ``retry``, ``dead``, ``cancel``,
``submit``) and ``commit``. Phases: ``before`` it is handed to the client; ``sent``, when the
client has it; ``acked``, when Kafka has acknowledged it and nobody here has been told.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from faust.types import TP

from log.writer import Entry, LogWriter
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
    send, commit = LogWriter.send, JobsConsumer.commit_places

    async def sending(self: LogWriter, topic: str, entry: Entry) -> asyncio.Future[Any]:
        point = point_of(topic, entry)
        at.passed(point, "before")
        ack = await send(self, topic, entry)
        at.passed(point, "sent")

        def acknowledged(ack: asyncio.Future[Any]) -> None:
            if not ack.cancelled() and ack.exception() is None:
                at.passed(point, "acked")

        ack.add_done_callback(acknowledged)  # the first one: ours is called before the product's
        return ack

    async def committing(self: JobsConsumer, places: Mapping[TP, int]) -> bool:
        at.passed("commit", "before")
        done = await commit(self, places)
        at.passed("commit", "acked")
        return done

    LogWriter.send = sending  # type: ignore[method-assign]
    JobsConsumer.commit_places = committing  # type: ignore[method-assign]
