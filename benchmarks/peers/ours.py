"""This job processor."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import topics
from benchmarks.peers import outcomes
from benchmarks.peers.base import PYTHON, Load, Peer, Span, environ
from benchmarks.place import Place
from benchmarks.processes import Running
from devbroker.guard import die_with_parent
from tests.harness import Cluster, WorkerProcess, free_port

HANDLERS = "benchmarks.peers.apps.ours"


class _Preparing(WorkerProcess):
    before_it = staticmethod(die_with_parent)  # however the benchmark ends


class Ours(Peer):
    """A row for each transition, acknowledged before it counts; the job's place after its row."""

    name = "ours"
    broker = "kafka"
    packages = ("faust-streaming", "aiokafka")

    def settings(self, load: Load) -> str:
        return f"JOBS_WORKERS={load.slots}, on uvloop, as it comes"

    def feed(self, place: Place, load: Load) -> None:
        self.prepare(place)
        self.fill(place, load)

    def prepare(self, place: Place) -> None:
        """A worker makes the topics, as it wants them."""
        self.cluster(place).worker(kind=_Preparing).terminate()

    def fill(self, place: Place, load: Load) -> None:
        """Jobs onto the topic."""
        topics.produce(place.kafka, self.cluster(place).jobs, place.partitions, _lines(load))

    def submit(self, place: Place, load: Load, rate: float) -> None:
        topics.produce_at(place, self.cluster(place).jobs, _lines(load), rate)

    def told(self, place: Place) -> str:
        return self.cluster(place).changelog

    def start(self, place: Place, load: Load) -> Running:
        return self.worker(place, JOBS_WORKERS=str(load.slots))

    def worker(self, place: Place, port: int = 0, **settings: str) -> Running:
        """With these settings, and all others as they are unless set: tests have some of their
        own, for speed."""
        cluster = self.cluster(place)
        given = {
            "KAFKA": place.kafka,
            "JOBS_APP_ID": cluster.app_id,
            "JOBS_TOPIC": cluster.jobs,
            "JOBS_PARTITIONS": str(place.partitions),
            "JOBS_HANDLERS": HANDLERS,
            "JOBS_PORT": str(port or free_port()),
        }
        return Running(
            self.name,
            [PYTHON, "app.py"],
            environ(place) | given | settings,
            place.folder / "worker.log",
        )

    def drained(self, place: Place, load: Load, worker: Running) -> Span:
        return outcomes.drained(place, self.told(place), load, worker)

    def cluster(self, place: Place) -> Cluster:
        """Its topics' names."""
        return Cluster(place.kafka, place.folder, place.partitions, place.tag)


def _lines(load: Load) -> Iterator[bytes]:
    return (
        b'{"handler": "%s", "data": [%d, %d]}' % (load.kind.encode(), n, ms)
        for n, ms in enumerate(load.pauses())
    )
