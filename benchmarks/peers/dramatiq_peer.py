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
        return (
            f"--processes 1 --threads {self._threads(load)}, heartbeat_timeout {HEARTBEAT_S} s, "
            f"maintenance_chance {self._maintenance(load):,}"
        )

    def start(self, place: Place, load: Load) -> Running:
        return self.run(
            place,
            load,
            *(self.program("dramatiq"), "apps.dramatiq_app"),
            *("--processes", "1", "--threads", str(self._threads(load))),
        )

    def environ(self, place: Place, load: Load) -> dict[str, str]:
        given = {
            "BENCH_HEARTBEAT_MS": str(HEARTBEAT_S * 1_000),
            "BENCH_MAINTENANCE": str(self._maintenance(load)),
        }
        return super().environ(place, load) | given

    def _maintenance(self, load: Load) -> int:
        """Of a million commands so many look for what a dead worker has left: the usual 1,000 are
        too few for a queue that is nearly empty, and more would slow down a full one."""
        return 100_000 if load.waits else 1_000

    def _threads(self, load: Load) -> int:
        return load.slots if load.waits else THREADS
