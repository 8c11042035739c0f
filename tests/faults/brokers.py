"""Brokers that faults can be done to: one Apache Kafka or three, and a network for each worker."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from tests.faults.proxy import Proxy
from tests.kafka.cluster import ApacheKafkaCluster
from tests.kafka.server import ApacheKafka

SLOW_S = 0.15  # more than usual, less than any limit


class Brokers:
    """``with Brokers(3) as brokers: …``"""

    def __init__(self, count: int) -> None:
        self._one = ApacheKafka() if count == 1 else None
        self._many = ApacheKafkaCluster(count) if count > 1 else None
        self._networks: dict[int, Proxy] = {}
        self._stack = ExitStack()
        self._starting = threading.Lock()

    @property
    def address(self) -> str:
        """For those whose network is never disturbed."""
        return (self._one or self._cluster).address

    def network(self, slot: int) -> str:
        """The address for a worker whose network is."""
        if slot not in self._networks:
            self._networks[slot] = self._stack.enter_context(Proxy(self.address))
        return self._networks[slot].address

    def disturb(self, slot: int, how: str) -> Callable[[], None]:
        """``cut``, ``reset`` or ``slow`` a worker's network; the answer heals it."""
        network = self._networks[slot]
        if how == "slow":
            network.slow(SLOW_S)
        else:
            {"cut": network.cut, "reset": network.reset}[how]()
        return network.heal

    def kill_leader(self, topic: str) -> Callable[[], object]:
        """SIGKILL the broker that leads most partitions of a topic; the answer starts it again,
        with its data."""
        if self._one is not None:
            victim = self._one
        else:
            leaders = Counter(n for n in self._cluster.leaders(topic) if n > 0)
            victim = self._cluster.brokers[leaders.most_common(1)[0][0]]
        victim.kill()

        def again() -> None:
            with self._starting:
                if not victim.alive:  # it may have been killed twice before it was started
                    victim.start()

        return again

    def __enter__(self) -> Self:
        self._stack.enter_context(self._one or self._cluster)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def _cluster(self) -> ApacheKafkaCluster:
        assert self._many is not None
        return self._many
