"""Workers on three brokers, of which one after another dies and comes back."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.steady import Load
from tests.harness import FINAL, Cluster, until
from tests.kafka import ApacheKafkaCluster

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("three-brokers"),
    pytest.mark.skipif(not os.environ.get("KAFKA"), reason="takes minutes: make test-kafka"),
]

ROUNDS = 2
NODES = {1, 2, 3}
JOB = {"handler": "sleep", "data": 0.05, "timeout": "30s"}


def busiest(three: ApacheKafkaCluster, cluster: Cluster) -> int:
    """The broker that leads the most of our partitions."""
    leaders = three.leaders(cluster.jobs) + three.leaders(cluster.changelog)
    return Counter(leaders).most_common(1)[0][0]


def led_without(three: ApacheKafkaCluster, cluster: Cluster, node: int) -> bool:
    leaders = three.leaders(cluster.jobs) + three.leaders(cluster.changelog)
    return not {-1, node} & set(leaders)


def done(cluster: Cluster) -> int:
    return sum(row["status"] == "done" for row in cluster.states().values())


def in_sync(three: ApacheKafkaCluster, cluster: Cluster) -> bool:
    copies = three.in_sync(cluster.jobs) + three.in_sync(cluster.changelog)
    return all(nodes == NODES for nodes in copies)


def goes_on(cluster: Cluster, by: int) -> None:
    """Wait until so many more jobs are done."""
    wanted = done(cluster) + by
    until(lambda: done(cluster) >= wanted, 120, f"{by} more jobs are done")


def kill_and_restart(three: ApacheKafkaCluster, cluster: Cluster) -> None:
    until(lambda: in_sync(three, cluster), 60, "every broker has all records")
    goes_on(cluster, 1)
    victim = busiest(three, cluster)
    three.brokers[victim].kill()
    until(lambda: led_without(three, cluster, victim), 60, "the others lead")
    goes_on(cluster, 50)  # with two brokers
    three.brokers[victim].start()


@pytest.fixture
def cluster(three: ApacheKafkaCluster, tmp_path: Path) -> Iterator[Cluster]:
    """An app of three workers on three brokers."""
    made = Cluster(three.address, tmp_path, partitions=6)
    try:
        workers = [made.worker(ready=False, JOBS_REPLICATION="3") for _ in range(3)]
        for worker in workers:
            worker.wait_ready(120)
        yield made
    finally:
        made.close()


def assert_all_is_well(cluster: Cluster, load: Load) -> None:
    """Each accepted job ended once, and the workers that were started at first do all."""
    assert load.refused == []
    ids = load.jobs()
    for worker in cluster.workers:
        assert worker.process.poll() is None, worker.tail()
    states = cluster.all_final(ids, 180)
    assert Counter(states[id]["status"] for id in ids) == {"done": len(ids)}
    for id, rows in cluster.history().items():
        ends = [row for row in rows if row["status"] in FINAL]
        assert all(row == ends[0] for row in ends), (id, rows)

    def busy() -> bool:
        answers = [worker.get("/readyz").json for worker in cluster.workers]
        return all(answer.get("partitions") for answer in answers)

    until(busy, 120, "each worker has partitions")
    cluster.all_final([worker.submit(handler="echo", data=1) for worker in cluster.workers])


def test_jobs_and_workers_outlive_the_deaths_of_brokers(
    three: ApacheKafkaCluster, cluster: Cluster
) -> None:
    with Load(cluster, 50, JOB) as load:
        for _ in range(ROUNDS):
            kill_and_restart(three, cluster)
        until(lambda: in_sync(three, cluster), 60, "the last one has all records")
    assert_all_is_well(cluster, load)


def test_a_broker_that_is_gone_without_a_word(three: ApacheKafkaCluster, cluster: Cluster) -> None:
    """No connection is closed: only a time limit tells that it is gone."""
    with Load(cluster, 30, JOB) as load:
        goes_on(cluster, 50)
        frozen_at = time.time() * 1000
        victim = busiest(three, cluster)
        three.brokers[victim].freeze()

        def every_partition_goes_on() -> bool:
            later = {
                id.partition("-")[0]
                for id, row in cluster.states().items()
                if row["status"] == "done" and row["submitted_at"] > frozen_at
            }
            return len(later) == cluster.partitions

        until(every_partition_goes_on, 85, "jobs of every partition are done without it")
        three.brokers[victim].thaw()
        until(lambda: in_sync(three, cluster), 60, "it has all records again")
    assert_all_is_well(cluster, load)
