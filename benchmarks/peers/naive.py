"""What one would write with Faust's documentation at hand: an agent and a table."""

from __future__ import annotations

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

    def settings(self, load: Load) -> str:
        return f"concurrency={load.slots if load.kind == 'pause' else 1}, as documented otherwise"

    def feed(self, place: Place, load: Load) -> None:
        topic = f"{place.tag}-jobs"
        topics.make(place.kafka, topic, place.partitions)
        lines = (
            b'{"kind": "%s", "n": %d, "ms": %d}' % (load.kind.encode(), n, ms)
            for n, ms in enumerate(load.pauses())
        )
        topics.produce(place.kafka, topic, place.partitions, lines)

    def start(self, place: Place, load: Load) -> Running:
        concurrency = load.slots if load.kind == "pause" else 1
        return Running(
            self.name,
            [PYTHON, "-m", "faust", "-A", APP, "worker", "-l", "warn"],
            environ(
                place,
                BENCH_CONCURRENCY=str(concurrency),
                BENCH_DATA=str(place.folder / "faust"),
            ),
            place.folder / "worker.log",
        )

    def drained(self, place: Place, load: Load, worker: Running) -> Span:
        return outcomes.drained(place, f"{place.tag}-states-changelog", load, worker)
