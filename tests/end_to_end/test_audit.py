"""No record goes unseen: start and stop again and again, and a consumer that drops records."""

from __future__ import annotations

import json
import sys

import pytest

from tests.harness import Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes]
ECHO = b'{"handler": "echo"}'


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", [1, 2, 3])
def test_sixty_cycles_of_start_and_stop_lose_none(cluster: Cluster, part: int) -> None:
    """Three times twenty, so that they can run side by side."""
    cluster.worker().terminate()  # makes the topics
    ids: list[str] = []
    for _ in range(20):
        ids += cluster.produce([ECHO] * 20)
        worker = cluster.worker(ready=False)
        until(worker.answers, 60, "the worker is up, and joins its group")
        ids += cluster.produce([ECHO] * 5)
        cluster.all_final(ids)
        assert worker.terminate() == 0, worker.tail()
    assert len(set(ids)) == 500
    states = cluster.states()
    assert all(states[i]["status"] == "done" and states[i]["attempt"] == 1 for i in ids)


class DroppingWorker(WorkerProcess):
    """A worker whose consumer drops the records that DROP names."""

    command = (sys.executable, "-m", "faust", "-A", "tests.apps.dropping", "worker", "-l", "info")


@pytest.mark.timeout(180)
def test_dropped_records_are_found_on_each_topic(cluster: Cluster) -> None:
    cluster.partitions = 1
    retry, cancel = f"{cluster.jobs}-retry", f"{cluster.jobs}-cancel"
    # Of each topic one in the middle, which the next record shows, and the last one, which
    # only a look at the log's end can show.
    drop = {
        cluster.jobs: [[0, 3], [0, 4], [0, 9]],
        retry: [[0, 1], [0, 3]],
        cancel: [[0, 1], [0, 3]],
    }
    worker = cluster.worker(DROP=json.dumps(drop), kind=DroppingWorker)
    plain = cluster.produce([ECHO] * 10)
    states = cluster.all_final(plain)
    assert {states[i]["status"] for i in plain} == {"done"}

    failing = cluster.produce([b'{"handler": "fail", "data": 1}'] * 4)
    states = cluster.all_final(failing)
    assert {states[i]["status"] for i in failing} == {"done"}
    assert {states[i]["attempt"] for i in failing} == {2}

    late = cluster.produce([b'{"handler": "echo", "delay": "1h"}'] * 4)
    until(lambda: cluster.states().keys() >= set(late), 20, "they have rows")
    asked = [json.dumps({"id": id, "who": "test"}).encode() for id in late]
    cluster.produce(asked, topic=cancel)
    states = cluster.all_final(late)
    assert {states[i]["status"] for i in late} == {"canceled"}

    assert worker.get("/stats").json["workers"][0]["gaps"] == {cluster.jobs: 3, retry: 2, cancel: 2}
    assert worker.text().count("were not delivered; read from the log instead") >= 6


@pytest.mark.timeout(180)
def test_the_dropping_consumer_drops(cluster: Cluster) -> None:
    """The test above proves something only if records are really not delivered: with the audit
    asleep they stay away."""
    cluster.partitions = 1
    cluster.worker(
        DROP=json.dumps({cluster.jobs: [[0, 1]]}), JOBS_AUDIT="3600s", kind=DroppingWorker
    )
    first, dropped = cluster.produce([ECHO] * 2)
    cluster.all_final([first])
    assert dropped not in cluster.states()
    (after,) = cluster.produce([ECHO])
    states = cluster.all_final([after])
    assert states[dropped]["status"] == "done", "the next record shows the gap"
