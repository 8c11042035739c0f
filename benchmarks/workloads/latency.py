"""(d): how long a job takes at a steady rate, from submission to start and to its outcome."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from benchmarks import notes
from benchmarks.peers.base import Load, Peer
from benchmarks.place import Place
from benchmarks.processes import PeerError, Running
from benchmarks.tail import Tail
from benchmarks.workloads.base import Column, Workload

WARM_S = 3
WARM_RATE = 50.0
BEGIN_WITHIN_S = 90.0
REST_S = 20.0  # for what is still under way in the end


class Latency(Workload):
    """Open loop: jobs come at their time, whether or not those before are done."""

    key = "latency"
    title = "Steady rate: from submission to start, and to the outcome"
    how = (
        "In ms. Jobs that do nothing are submitted at so many a second, whatever becomes of them. "
        "Start: the handler's own note. Outcome: another process has read it from Kafka; the peers "
        "on Redis keep none that it could be told by. A few seconds before are left out."
    )
    columns = (
        Column("rate", "jobs/s", more=True),
        Column("start_50", "start, p50", "{:,.1f}", more=False),
        Column("start_99", "start, p99", "{:,.1f}", more=False),
        Column("final_50", "outcome, p50", "{:,.1f}", more=False),
        Column("final_99", "outcome, p99", "{:,.1f}", more=False),
    )
    without = frozenset({"RQ", "taskiq, aio-kafka"})  # their feeders can't keep up one by one

    def variants(self) -> Mapping[str, Load]:
        return {f"{rate}/s": self.load() for rate in self.sizes.rates}

    def load(self) -> Load:
        return Load("noted", 1, 50)

    def once(self, peer: Peer, place: Place, load: Load, variant: str) -> Mapping[str, float]:
        rate = float(variant.removesuffix("/s"))
        warm, asked = int(WARM_S * WARM_RATE), round(rate * self.sizes.seconds)
        peer.feed(place, load._replace(jobs=1))
        topic = peer.told(place)
        with peer.start(place, load) as worker, ExitStack() as stack:
            _until_noted(place, 1, worker, BEGIN_WITHIN_S)
            if not notes.read(place.notes):
                raise PeerError(f"{peer.name} has done nothing. It said:\n{worker.tail()}")
            peer.submit(place, load._replace(jobs=warm), WARM_RATE)
            _until_noted(place, 1 + warm, worker, REST_S)
            for path in (place.notes, place.submitted):
                os.truncate(path, 0)  # whoever has it open writes at its new end
            tail = stack.enter_context(Tail(place, topic)) if topic else None
            if tail is not None:  # it reads from the log's beginning, and needs a moment for that
                _until(lambda: len(tail.seen) > warm, worker, REST_S)
            peer.submit(place, load._replace(jobs=asked), rate)
            _until_noted(place, asked, worker, REST_S)
            if tail is not None:
                _until(lambda: len(tail.seen) > warm + asked, worker, REST_S)
        return _figures(place, tail.seen if tail else {})


def _figures(place: Place, outcomes: Mapping[str, float]) -> Mapping[str, float]:
    submitted = {note.number: note for note in notes.read(place.submitted)}
    started = {note.number: note.at for note in reversed(notes.read(place.notes))}
    to_start = [started[n] - note.at for n, note in submitted.items() if n in started]
    to_final = [outcomes[note.id] - note.at for note in submitted.values() if note.id in outcomes]
    times = [note.at for note in submitted.values()]
    if len(times) < 2:
        raise PeerError("one job is too few for a figure: a higher rate, or more seconds")
    return {
        "rate": (len(times) - 1) / (max(times) - min(times)),
        **quantiles("start", to_start, len(submitted)),
        **(quantiles("final", to_final, len(submitted)) if outcomes else {}),
    }


def quantiles(name: str, found_s: Sequence[float], of: int) -> Mapping[str, float]:
    """In ms. Those that never came are the slowest of all."""
    every = sorted([*found_s, *([math.inf] * (of - len(found_s)))])
    middle, late = every[len(every) // 2], every[min(len(every) * 99 // 100, len(every) - 1)]
    # JSON knows no infinity: then there is no figure.
    told = {f"{name}_50": middle * 1_000, f"{name}_99": late * 1_000}
    return {key: value for key, value in told.items() if math.isfinite(value)}


def _until_noted(place: Place, wanted: int, worker: Running, within_s: float) -> None:
    _until(lambda: len(notes.read(place.notes)) >= wanted, worker, within_s)


def _until(true: Callable[[], bool], worker: Running, within_s: float) -> None:
    """Or until time is up: what is missing then is told as such."""
    deadline = time.monotonic() + within_s
    while not true() and time.monotonic() < deadline:
        worker.check()
        time.sleep(0.2)
