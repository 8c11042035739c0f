"""(b) and (c): jobs that take a while, in ten slots."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.peers.base import Load, Peer
from benchmarks.place import Place
from benchmarks.processes import PeerError
from benchmarks.sampling import Sampler
from benchmarks.workloads.base import Column, Workload

SLOTS = 10


class Slots(Workload):
    """Nothing is gained by being quick here: what counts is that no slot is left empty."""

    key = "slots"
    title = "1,000 jobs of 100 ms in 10 slots"
    how = (
        "The ceiling is 100 jobs/s. Counted from the first jobs' end to the last one's. A job "
        "sleeps: in an event loop, a thread or a process, as the peer has it."
    )
    columns = (
        Column("rate", "jobs/s", "{:,.1f}", more=True),
        Column("share", "of the ceiling", "{:.1%}", more=True),
        Column("cpu", "CPU s per 1,000", "{:.3f}", more=False),
    )
    without = frozenset({"bare aiokafka", "RQ"})  # the one has no slots, the other has one

    def load(self) -> Load:
        return Load("pause", 1_000, SLOTS, (100,))

    def once(self, peer: Peer, place: Place, load: Load, variant: str) -> Mapping[str, float]:
        peer.feed(place, load)
        with peer.start(place, load) as worker, Sampler(worker.pid) as sampler:
            span = peer.drained(place, load, worker)
            worker.stop()
        # The first ones end together, when the clock starts.
        counted = span.outcomes - max(load.slots, span.outcomes_first)
        if counted <= 0 or span.last <= span.first:
            raise PeerError(f"{load.jobs} jobs are too few for a figure; ask for some hundred")
        rate = counted / (span.last - span.first)
        ceiling = load.slots * 1_000 / (sum(load.ms) / len(load.ms))
        return {
            "rate": rate,
            "share": rate / ceiling,
            "cpu": sampler.cpu_s(span.first, span.last) / counted * 1_000,
        }


class Short(Slots):
    """Of one partition, as from one producer's key."""

    key = "short"
    title = "10,000 jobs of 0 to 5 ms in 10 slots, on one partition"
    how = "The ceiling is 4,000 jobs/s; otherwise as above. Redis has no partitions."
    claim = "rate"

    def load(self) -> Load:
        return Load("pause", min(10_000, self.sizes.jobs), SLOTS, (0, 1, 2, 3, 4, 5))

    def once(self, peer: Peer, place: Place, load: Load, variant: str) -> Mapping[str, float]:
        return super().once(peer, place.anew(partitions=1), load, variant)
