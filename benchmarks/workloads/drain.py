"""(a): how fast a backlog of jobs that do nothing is worked off."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.peers.base import Load, Peer
from benchmarks.place import Place
from benchmarks.sampling import Sampler
from benchmarks.workloads.base import Column, Workload


class Drain(Workload):
    """Everything is there before the worker starts."""

    key = "drain"
    title = "Drain: jobs that do nothing"
    how = (
        "All jobs are produced before the one worker is started. Counted from the first outcome to "
        "the last, so that nobody's start counts."
    )
    columns = (
        Column("jobs", "jobs"),
        Column("left", "never done"),
        Column("rate", "jobs/s", more=True),
        Column("cpu", "CPU s per 1,000", "{:.3f}", more=False),
        Column("memory", "MB"),
    )
    claim = "rate"

    def load(self) -> Load:
        return Load("noop", self.sizes.jobs, self.sizes.slots)

    def once(self, peer: Peer, place: Place, load: Load, variant: str) -> Mapping[str, float]:
        peer.feed(place, load)
        with peer.start(place, load) as worker, Sampler(worker.pid) as sampler:
            span = peer.drained(place, load, worker)
            worker.stop()
        cpu_s = sampler.cpu_s(span.first, span.last)
        return {
            "jobs": load.jobs,
            "left": load.jobs - span.outcomes,
            "rate": span.rate,
            "cpu": cpu_s / span.outcomes * 1_000,
            "memory": sampler.most_bytes / 1e6,
        }
