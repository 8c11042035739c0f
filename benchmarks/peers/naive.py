"""What one would write with Faust's documentation at hand: an agent and a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from benchmarks import topics
from benchmarks.peers import outcomes
from benchmarks.peers.base import PYTHON, Load, Peer, Span, environ
from benchmarks.place import Place
from benchmarks.processes import Running

APP = "benchmarks.peers.apps.naive"


class Naive(Peer):
    """A table's row when a job begins, and one when it is done."""

    name = "naive Faust agent"
    broker = "kafka"
    packages: ClassVar[tuple[str, ...]] = ("faust-streaming", "aiokafka")
    loop: ClassVar[tuple[str, ...]] = ()

    def settings(self, load: Load) -> str:
        loop = " ".join(self.loop) or "asyncio's loop"
        return f"concurrency={_concurrency(load)}, {loop}, as documented otherwise"

    def feed(self, place: Place, load: Load) -> None:
        topic = f"{place.tag}-jobs"
        topics.make(place.kafka, topic, place.partitions)
        topics.produce(place.kafka, topic, place.partitions, _lines(load))

    def submit(self, place: Place, load: Load, rate: float) -> None:
        topics.produce_at(place, f"{place.tag}-jobs", _lines(load), rate)

    def told(self, place: Place) -> str:
        return f"{place.tag}-states-changelog"

    def start(self, place: Place, load: Load) -> Running:
        return Running(
            self.name,
            [PYTHON, "-m", "faust", "-A", APP, *self.loop, "worker", "-l", "warn"],
            environ(
                place,
                BENCH_CONCURRENCY=str(_concurrency(load)),
                BENCH_DATA=str(place.folder / "faust"),
            ),
            place.folder / "worker.log",
        )

    def drained(self, place: Place, load: Load, worker: Running) -> Span:
        return outcomes.drained(place, self.told(place), load, worker)


class NaiveOnUvloop(Naive):
    """The same on the loop that ours has, which Faust takes if it is told to."""

    name = "naive Faust agent on uvloop"
    loop = ("--loop", "uvloop")


def _concurrency(load: Load) -> int:
    return load.slots if load.waits else 1


def _lines(load: Load) -> Iterator[bytes]:
    return (
        b'{"kind": "%s", "n": %d, "ms": %d}' % (load.kind.encode(), n, ms)
        for n, ms in enumerate(load.pauses())
    )
