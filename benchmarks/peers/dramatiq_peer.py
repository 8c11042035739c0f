"""Dramatiq on Redis."""

from __future__ import annotations

from benchmarks.peers.apart import OnRedis
from benchmarks.peers.base import Load
from benchmarks.place import Place
from benchmarks.processes import Running

HEARTBEAT_S = 20
THREADS = 8  # unless set


class Dramatiq(OnRedis):
    """One process with threads; messages are kept until their actor has returned."""

    name = "Dramatiq"
    environment, app, packages = "dramatiq", "dramatiq_app", ("dramatiq", "redis")
    left = (("HLEN", "dramatiq:default.msgs"), ("HLEN", "dramatiq:default.DQ.msgs"))
    redelivers_s = HEARTBEAT_S + 40.0

    def settings(self, load: Load) -> str:
        threads = self._threads(load)
        return f"--processes 1 --threads {threads}, heartbeat_timeout {HEARTBEAT_S} s"

    def start(self, place: Place, load: Load) -> Running:
        return self.run(
            place,
            load,
            *(self.program("dramatiq"), "apps.dramatiq_app"),
            *("--processes", "1", "--threads", str(self._threads(load))),
        )

    def environ(self, place: Place, load: Load) -> dict[str, str]:
        return super().environ(place, load) | {"BENCH_HEARTBEAT_MS": str(HEARTBEAT_S * 1_000)}

    def _threads(self, load: Load) -> int:
        return load.slots if load.kind == "pause" else THREADS
