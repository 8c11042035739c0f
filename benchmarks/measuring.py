"""Runs each workload with each peer, and collects the figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException

from benchmarks.figures import Figures, Row
from benchmarks.peers.base import Load, Peer
from benchmarks.place import Place
from benchmarks.processes import PeerError
from benchmarks.workloads.base import Workload

Say = Callable[[str], None]


def measure(
    figures: Figures,
    workloads: Sequence[Workload],
    peers: Sequence[Peer],
    place: Place,
    broker: str,
    runs: int,
    say: Say,
) -> None:
    """Adds rows to the figures. Runs go around the peers, so that a slow minute of the machine hits
    all alike. A peer that fails is told, and the others go on."""
    when, commit = figures.machine.get("when", ""), figures.machine.get("commit", "")
    for workload in workloads:
        rows: list[tuple[Row, Peer, Load]] = []
        for peer in peers:
            if not workload.asks(peer):
                continue
            for variant, load in workload.variants().items():
                asked = load._replace(jobs=max(1, round(load.jobs * peer.share)))
                told = peer.settings(asked), peer.versions(), f"{when} {commit}"
                row = Row(peer.name, broker, variant, *told)
                rows.append((row, peer, asked))
        figures.tables.setdefault(workload.key, []).extend(row for row, _, _ in rows)
        for n in range(runs):
            for row, peer, load in rows:
                if not row.problem:
                    _run(workload, row, peer, place, load, f"run {n + 1} of {runs}", say)


def _run(
    workload: Workload, row: Row, peer: Peer, place: Place, load: Load, which: str, say: Say
) -> None:
    name = f"{workload.key}, {row.broker}, {row.peer}{row.variant and f', {row.variant}'}"
    try:
        row.runs.append(dict(workload.once(peer, place.anew(), load, row.variant)))
    except (PeerError, AssertionError, KafkaException) as exc:  # tests' harness asserts
        row.problem = str(exc)
        say(f"{name}: {exc}")
    except Exception as exc:  # of a connection that breaks, say: the others' hours aren't lost
        row.problem = f"{type(exc).__name__}: {exc}"
        say(f"{name}: {row.problem}")
    else:
        last = row.runs[-1]
        told = (f"{c.head} {c.form.format(last[c.key])}" for c in workload.columns if c.key in last)
        say(f"{name}, {which}: {', '.join(told)}")
