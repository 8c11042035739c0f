"""The bound: aiokafka alone, with the same writes and none of what a job processor does."""

from __future__ import annotations

from benchmarks import topics
from benchmarks.peers.base import PYTHON, Load, environ
from benchmarks.peers.naive import Naive
from benchmarks.place import Place
from benchmarks.processes import Running

APP = "benchmarks.peers.apps.bare"


class Bare(Naive):
    """Two records for each job, written as whole batches and awaited, then the commit."""

    name = "bare aiokafka"
    share = 4.0
    packages = ("aiokafka",)

    def settings(self, load: Load) -> str:
        return "getmany of 500, whole batches, acks=all; no slots, states or reruns"

    def feed(self, place: Place, load: Load) -> None:
        super().feed(place, load)
        topics.make(place.kafka, self.told(place), place.partitions)

    def start(self, place: Place, load: Load) -> Running:
        return Running(self.name, [PYTHON, "-m", APP], environ(place), place.folder / "worker.log")

    def told(self, place: Place) -> str:
        return f"{place.tag}-changelog"
