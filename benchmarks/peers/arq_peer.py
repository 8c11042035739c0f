"""arq on Redis."""

from __future__ import annotations

from benchmarks.peers.apart import OnRedis
from benchmarks.peers.base import Load
from benchmarks.place import Place
from benchmarks.processes import Running

POLL_S = 0.05  # the usual 0.5 s, with 100 jobs each time, would be the limit
TIMEOUT_S = 15


class Arq(OnRedis):
    """In one event loop, with results kept for an hour, as usual."""

    name = "arq"
    environment, app, packages = "arq", "arq_app", ("arq", "redis")
    left = (("ZCARD", "arq:queue"),)
    redelivers_s = TIMEOUT_S + 30.0  # what was running is locked until then

    def settings(self, load: Load) -> str:
        return f"max_jobs={load.slots}, poll_delay={POLL_S}, job_timeout={TIMEOUT_S}"

    def start(self, place: Place, load: Load) -> Running:
        return self.run(place, load, self.python(), "-m", "apps.arq_app", "work")

    def environ(self, place: Place, load: Load) -> dict[str, str]:
        given = {"BENCH_POLL_S": str(POLL_S), "BENCH_TIMEOUT_S": str(TIMEOUT_S)}
        return super().environ(place, load) | given
