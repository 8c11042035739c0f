"""RQ on Redis."""

from __future__ import annotations

from benchmarks.peers.apart import OnRedis
from benchmarks.peers.base import Load
from benchmarks.place import Place
from benchmarks.processes import Running


class Rq(OnRedis):
    """One job after another, each in a process that is forked for it."""

    name = "RQ"
    share = 0.1
    environment, app, packages = "rq", "rq_app", ("rq", "redis")
    left = (
        ("LLEN", "rq:queue:default"),
        ("LLEN", "rq:queue:default:intermediate"),
        ("ZCARD", "rq:wip:default"),
    )
    redelivers_s = 120.0

    def settings(self, load: Load) -> str:
        return "rq worker, Retry(max=3); one job at a time"

    def start(self, place: Place, load: Load) -> Running:
        url = f"redis://{place.redis}/0"
        return self.run(place, load, self.program("rq"), "worker", "--quiet", "--url", url)
