"""Several Apache Kafkas that are one cluster, each a process that can be killed for itself."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka.admin import AdminClient, PartitionMetadata  # type: ignore[attr-defined]

from devbroker import ports
from tests.harness import until
from tests.kafka.server import TRIES, ApacheKafka, Node, PortTaken, new_cluster_id

HEAP = "256m"
ASK_S = 10.0


class ApacheKafkaCluster:
    """``with ApacheKafkaCluster() as kafka: … kafka.address …``; ``brokers`` are by node id.

    A broker's ``kill``, ``stop`` and ``start`` leave it its port and its data.
    """

    def __init__(self, size: int = 3) -> None:
        self._size = size
        self._folder = Path(tempfile.mkdtemp(prefix="apache-kafkas-"))
        self._properties = _copies(min(size, 3))
        self.brokers: dict[int, ApacheKafka] = {}
        self._admin: AdminClient | None = None

    @property
    def address(self) -> str:
        """All brokers, with commas between: a client that knows one that is dead asks another."""
        return ",".join(broker.address for broker in self.brokers.values())

    def start(self) -> Self:
        """Start all and wait until all answer. From the main thread, as ``ApacheKafka.start``."""
        for attempt in range(1, TRIES + 1):
            try:
                self._start()
                return self
            except PortTaken:
                if attempt == TRIES:
                    raise
                self._end()
        raise AssertionError("not reached")

    def leaders(self, topic: str) -> list[int]:
        """The node that leads each partition; -1 where none does."""
        return [int(part.leader) for part in self._partitions(topic)]

    def in_sync(self, topic: str) -> list[set[int]]:
        """The nodes of each partition that have all of its records."""
        return [set(part.isrs) for part in self._partitions(topic)]

    def close(self) -> None:
        """The end of all, and of what they held."""
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        free = _free_ports(2 * self._size)
        numbers = range(1, self._size + 1)
        controllers = dict(zip(numbers, free[: self._size], strict=True))
        cluster_id = new_cluster_id()
        for n in numbers:
            node = Node(n, cluster_id, controllers)
            folder = self._folder / f"node-{n}"
            shutil.rmtree(folder, ignore_errors=True)  # of a start whose ports were taken
            self.brokers[n] = ApacheKafka(folder, node=node, heap=HEAP, properties=self._properties)
        for broker, port in zip(self.brokers.values(), free[self._size :], strict=True):
            broker.launch(port)
        for broker in self.brokers.values():
            broker.wait_until_ready()

    def _end(self) -> None:
        self._admin = None
        for broker in self.brokers.values():
            broker.kill()  # nobody will read what it would write
        self.brokers.clear()

    def _partitions(self, topic: str) -> list[PartitionMetadata]:
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        admin = self._admin
        # A broker that hasn't heard of a new topic yet answers that it has no partitions.
        found: dict[int, PartitionMetadata] = until(
            lambda: admin.list_topics(topic, timeout=ASK_S).topics[topic].partitions,
            ASK_S,
            f"a broker knows {topic}",
        )
        return [found[p] for p in sorted(found)]


def _copies(count: int) -> dict[str, str]:
    """Kafka's own topics on so many brokers, acknowledged by all but one. For others the least
    is Kafka's default, 1: whoever makes a topic has to say what it needs."""
    least = max(1, count - 1)
    return {
        "default.replication.factor": str(count),
        "offsets.topic.replication.factor": str(count),
        "transaction.state.log.replication.factor": str(count),
        "transaction.state.log.min.isr": str(least),
        "share.coordinator.state.topic.replication.factor": str(count),
        "share.coordinator.state.topic.min.isr": str(least),
    }


def _free_ports(count: int) -> list[int]:
    found: set[int] = set()
    while len(found) < count:
        found.add(ports.find_free())
    return sorted(found)
