"""(h) and (i): what rows and partitions cost, and how long a start takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError

from benchmarks import topics
from benchmarks.peers import outcomes
from benchmarks.peers.base import Load, Peer, Span
from benchmarks.peers.ours import Ours
from benchmarks.place import Place
from benchmarks.processes import PeerError
from benchmarks.sampling import Sampler
from benchmarks.workloads.base import Column, Workload
from tests.faults.million import write
from tests.harness import Cluster


class Growth(Workload):
    """Jobs that were done before have a record, a row and a committed place, as in real life."""

    key = "growth"
    title = "Rows and partitions"
    how = (
        "A drain of jobs that do nothing, by a worker that has so many jobs behind it. Its second "
        "half counts: on new topics the first one is slower, with many partitions above all. The "
        "first outcome is counted from the start of the process; it recovers all rows before."
    )
    columns = (
        Column("rate", "jobs/s", more=True),
        Column("cpu", "CPU s per 1,000", "{:.3f}", more=False),
        Column("memory", "MB", more=False),
        Column("first_s", "start to first outcome (s)", "{:.1f}", more=False),
    )
    only = frozenset({"ours"})

    def variants(self) -> Mapping[str, Load]:
        rows = [f"{count:,} rows, 8 partitions" for count in self.sizes.rows]
        wide = [f"0 rows, {count} partitions" for count in self.sizes.partitions if count != 8]
        return {name: self.load() for name in [*rows, *wide]}

    def load(self) -> Load:
        return Load("noop", 2 * self.sizes.jobs, self.sizes.slots)

    def once(self, peer: Peer, place: Place, load: Load, variant: str) -> Mapping[str, float]:
        assert isinstance(peer, Ours)
        rows, partitions = (int(part.split()[0].replace(",", "")) for part in variant.split(", "))
        here = place.anew(partitions=partitions)
        cluster = peer.cluster(here)
        peer.prepare(here)
        if rows:
            _past(cluster, rows)
        peer.fill(here, load)
        began = time.time()
        with peer.start(here, load) as worker, Sampler(worker.pid) as sampler:
            times = outcomes.settled(here, peer.told(here), load, worker)
            worker.stop()
        half = len(times) // 2
        span = Span(times[half], times[-1], len(times), half + 1)
        return {
            "rate": span.rate,
            "cpu": sampler.cpu_s(span.first, span.last) / (len(times) - half) * 1_000,
            "memory": sampler.most_bytes / 1e6,
            "first_s": times[0] - began,
        }


def _past(cluster: Cluster, rows: int) -> None:
    """So many jobs that are done: records that have been read, and rows."""
    filler = (b'{"handler": "noop", "data": [%d, 0]}' % n for n in range(rows))
    topics.produce(cluster.kafka, cluster.jobs, cluster.partitions, filler)
    ends = [len(range(p, rows, cluster.partitions)) for p in range(cluster.partitions)]
    asyncio.run(_commit(cluster, ends))
    write(cluster, rows)


class _AsWorkers(RangePartitionAssignor):
    name = "faust"  # a group that has had workers takes no other one on the embedded broker


async def _commit(cluster: Cluster, ends: Sequence[int]) -> None:
    # As a member of the group: the embedded broker takes no places from others.
    consumer = AIOKafkaConsumer(
        cluster.jobs,
        bootstrap_servers=cluster.kafka,
        group_id=cluster.app_id,
        enable_auto_commit=False,
        auto_offset_reset="latest",
        partition_assignment_strategy=[_AsWorkers],
    )
    try:
        await consumer.start()  # it has its partitions when this returns
        await consumer.commit({TopicPartition(cluster.jobs, p): end for p, end in enumerate(ends)})
    except KafkaError as exc:
        raise PeerError(f"the places of past jobs can't be committed: {exc!r}") from exc
    finally:
        await consumer.stop()
