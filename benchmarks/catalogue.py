"""All peers and all workloads, by the names by which they are asked for."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.peers.arq_peer import Arq
from benchmarks.peers.bare import Bare
from benchmarks.peers.base import Peer
from benchmarks.peers.celery_peer import Celery, CeleryThreads
from benchmarks.peers.dramatiq_peer import Dramatiq
from benchmarks.peers.naive import Naive, NaiveOnUvloop
from benchmarks.peers.ours import Ours
from benchmarks.peers.rq_peer import Rq
from benchmarks.peers.taskiq_peer import Taskiq
from benchmarks.workloads.base import Workload
from benchmarks.workloads.drain import Drain
from benchmarks.workloads.growth import Growth
from benchmarks.workloads.http import Cancel, Http
from benchmarks.workloads.killed import Killed
from benchmarks.workloads.latency import Latency
from benchmarks.workloads.slots import Short, Slots

PEERS: Mapping[str, type[Peer]] = {
    "ours": Ours,
    "naive": Naive,
    "naive-uvloop": NaiveOnUvloop,
    "bare": Bare,
    "taskiq": Taskiq,
    "celery": Celery,
    "celery-threads": CeleryThreads,
    "dramatiq": Dramatiq,
    "arq": Arq,
    "rq": Rq,
}
WORKLOADS: Mapping[str, type[Workload]] = {
    each.key: each for each in (Drain, Slots, Short, Latency, Cancel, Http, Killed, Growth)
}
