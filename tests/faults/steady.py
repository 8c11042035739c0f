"""Jobs at a steady rate, from a thread, each with a number, and which ones Kafka has accepted.

By number and not by place: when an idempotent producer asks again about a record that the broker
has already, the answer need not say where it is.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Message, Producer

from tests.harness import Cluster

FLUSH_S = 120.0


class Load:
    """``with Load(cluster, 50, {…}) as load: …``; afterwards ``load.accepted`` is complete."""

    def __init__(self, cluster: Cluster, per_s: float, job: dict[str, Any]) -> None:
        self.accepted: set[int] = set()
        self.refused: list[str] = []
        self._cluster = cluster
        self._pause_s = 1 / per_s
        self._job = job
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def jobs(self) -> list[str]:
        """The ids of all jobs on the topic; every accepted one must be there."""
        records = self._cluster.records(self._cluster.jobs)
        there = {json.loads(record.value or b"{}")["number"] for record in records}
        lost = self.accepted - there
        assert not lost, f"{len(lost)} accepted jobs aren't on the topic: {sorted(lost)[:5]}"
        return [f"{record.partition}-{record.offset}" for record in records]

    def _run(self) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self._cluster.kafka,
                "acks": "all",
                "enable.idempotence": True,
                "log_level": 0,
            }
        )
        due, sent = time.monotonic(), 0
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            partition = sent % self._cluster.partitions
            value = json.dumps(self._job | {"number": sent}).encode()
            producer.produce(self._cluster.jobs, value, None, partition, self._reported(sent))
            producer.poll(0)
            sent += 1
            due += self._pause_s
        producer.flush(FLUSH_S)

    def _reported(self, number: int) -> Callable[[Any, Message], None]:
        def report(error: Any, _message: Message) -> None:
            if error is None:
                self.accepted.add(number)
            else:
                self.refused.append(str(error))

        return report
