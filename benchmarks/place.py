"""Where a run takes place: its broker, a folder of its own, and names that no other run has."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from benchmarks.processes import PeerError
from devbroker import Broker
from tests.kafka import ApacheKafka, ApacheKafkaError

HEAP = "1g"
ANSWER_S = 10.0


@dataclass(frozen=True)
class Place:
    """``kafka`` and ``redis`` are addresses; empty: there is none."""

    folder: Path
    kafka: str = ""
    redis: str = ""
    partitions: int = 8
    tag: str = field(default_factory=lambda: f"b{secrets.token_hex(4)}")

    def anew(self, *, partitions: int | None = None) -> Place:
        """The same broker, with topics, group and folder of its own."""
        tag = f"b{secrets.token_hex(4)}"
        folder = self.folder / tag
        folder.mkdir()
        return replace(self, tag=tag, folder=folder, partitions=partitions or self.partitions)

    @property
    def submitted(self) -> Path:
        """The file in which who submits notes the number of each job."""
        return self.folder / "submitted"

    @property
    def notes(self) -> Path:
        """The file in which handlers note the number of their job."""
        return self.folder / "notes"


@contextmanager
def any_kafka(kind: str, given: str | None) -> Iterator[tuple[str, str]]:
    """A broker of this kind, its kind and its address; of "both", Apache Kafka where there is one,
    else the embedded one."""
    with ExitStack() as stack:
        if kind != "both":
            yield kind, stack.enter_context(kafka(kind, given))
            return
        try:
            found = "kafka", stack.enter_context(kafka("kafka", given))
        except ApacheKafkaError:
            found = "embedded", stack.enter_context(kafka("embedded", None))
        yield found


@contextmanager
def kafka(kind: str, given: str | None) -> Iterator[str]:
    """The address of a broker that is ready: the one that is given, or one of this kind.

    Raises:
        PeerError: nobody answers there.
    """
    if given:
        _check(given)
        yield given
    elif kind == "embedded":
        with Broker(0) as embedded:
            yield embedded.address
    else:
        # With the JVM's best compiler: a broker that is slower than it need be would hide what
        # the workers cost.
        with ApacheKafka(heap=HEAP, quick=False) as apache:
            yield apache.address


def _check(kafka: str) -> None:
    try:
        AdminClient({"bootstrap.servers": kafka, "log_level": 0}).list_topics(timeout=ANSWER_S)
    except KafkaException as exc:
        raise PeerError(
            f"no Kafka answers at {kafka!r} ({exc.args[0].str()}); --kafka, or KAFKA in the "
            "environment, is its host:port"
        ) from None
