"""taskiq on Kafka, by taskiq-aio-kafka."""

from __future__ import annotations

from benchmarks import topics
from benchmarks.peers.apart import Apart
from benchmarks.peers.base import Load, Span
from benchmarks.place import Place
from benchmarks.processes import Running


class Taskiq(Apart):
    """Places are committed by time, whatever is done. There is no outcome in Kafka: handlers note
    that they have run, and these notes are counted."""

    name = "taskiq, aio-kafka"
    broker = "kafka"
    environment, app = "taskiq", "taskiq_app"
    packages = ("taskiq", "taskiq-aio-kafka", "aiokafka")

    def settings(self, load: Load) -> str:
        return f"--workers 1 --max-async-tasks {load.slots}, no result backend; by handlers' notes"

    def feed(self, place: Place, load: Load) -> None:
        topics.make(place.kafka, f"{place.tag}-jobs", place.partitions)
        super().feed(place, load)

    def start(self, place: Place, load: Load) -> Running:
        return self.run(
            place,
            load,
            *(self.program("taskiq"), "worker", "apps.taskiq_app:broker", "--workers", "1"),
            *("--max-async-tasks", str(load.slots), "--log-level", "WARNING"),
        )

    def drained(self, place: Place, load: Load, worker: Running) -> Span:
        return self.by_notes(place, load, worker)
