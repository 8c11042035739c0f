"""Outcomes in a changelog, of peers that write one: for each job a record that says "done"."""

from __future__ import annotations

from benchmarks import topics
from benchmarks.peers.base import Load, Span
from benchmarks.place import Place
from benchmarks.processes import PeerError, Running


def outcomes(place: Place, topic: str, since: float) -> dict[bytes, float]:
    """When each job's first outcome from then on was written (epoch seconds), by its key."""
    found: dict[bytes, float] = {}
    for record in topics.read(place.kafka, topic, place.partitions):
        if record.at >= since and b'"done"' in record.value:
            found.setdefault(record.key, record.at)
    return found


def drained(place: Place, topic: str, load: Load, worker: Running) -> Span:
    """From the first outcome to the last."""
    times = settled(place, topic, load, worker)
    return Span(times[0], times[-1], len(times))


def settled(place: Place, topic: str, load: Load, worker: Running) -> list[float]:
    """When outcomes were written, in order, by the records' own timestamps (epoch seconds). It is
    read once the worker is done: nobody looks while it works."""
    ends = topics.Ends(place.kafka, topic, place.partitions)
    try:
        found = topics.settled(
            ends,
            lambda: outcomes(place, topic, worker.started_at),
            lambda found: len(found) >= load.jobs,
            worker.check,
        )
    finally:
        ends.close()
    if not found:
        raise PeerError(f"{worker.name} has done nothing. It said:\n{worker.tail()}")
    return sorted(found.values())
