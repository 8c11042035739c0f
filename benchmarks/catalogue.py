"""All peers and all workloads, by the names by which they are asked for."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.peers.bare import Bare
from benchmarks.peers.base import Peer
from benchmarks.peers.naive import Naive
from benchmarks.peers.ours import Ours
from benchmarks.workloads.base import Workload
from benchmarks.workloads.drain import Drain

PEERS: Mapping[str, type[Peer]] = {
    "ours": Ours,
    "naive": Naive,
    "bare": Bare,
}
WORKLOADS: Mapping[str, type[Workload]] = {each.key: each for each in (Drain,)}
