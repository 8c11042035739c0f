"""Celery on Redis."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.peers.apart import OnRedis
from benchmarks.peers.base import Load
from benchmarks.place import Place
from benchmarks.processes import Running

VISIBILITY_S = 20


class Celery(OnRedis):
    """Its documentation: late acknowledgements for jobs that must not be lost, a prefetch of many
    for short ones and of one for long ones."""

    name = "Celery, prefork"
    environment, app, packages = "celery", "celery_app", ("celery", "kombu", "redis")
    left = (("LLEN", "celery"), ("HLEN", "unacked"))
    redelivers_s = VISIBILITY_S + 30.0
    pool: ClassVar[str] = "prefork"

    def settings(self, load: Load) -> str:
        return (
            f"-P {self.pool} -c {self._concurrency(load)}, acks_late, "
            f"prefetch {self._prefetch(load)}, visibility_timeout {VISIBILITY_S} s, "
            "unacked_restore_throttle 1"
        )

    def start(self, place: Place, load: Load) -> Running:
        return self.run(
            place,
            load,
            *(self.program("celery"), "-A", "apps.celery_app", "worker", "-l", "warning"),
            *("-P", self.pool, "-c", str(self._concurrency(load))),
        )

    def environ(self, place: Place, load: Load) -> dict[str, str]:
        given = {
            "BENCH_PREFETCH": str(self._prefetch(load)),
            "BENCH_VISIBILITY_S": str(VISIBILITY_S),
        }
        return super().environ(place, load) | given

    def _concurrency(self, load: Load) -> int:
        return load.slots if load.waits else 1

    def _prefetch(self, load: Load) -> int:
        return 1 if load.waits else 64


class CeleryThreads(Celery):
    """In threads: more than one job at a time needs no more processes."""

    name = "Celery, threads"
    pool = "threads"

    def _concurrency(self, load: Load) -> int:
        return load.slots if load.waits else 10
