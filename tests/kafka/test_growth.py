"""``faust -A app topics --grow`` while workers run. The embedded broker can't add partitions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.running import faust
from tests.end_to_end.listening import Listening
from tests.harness import Cluster, WorkerProcess, until
from tests.kafka import ApacheKafka

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


@pytest.fixture
def cluster(kafka_of_its_own: ApacheKafka, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(kafka_of_its_own.address, tmp_path)
    yield made
    made.close()


def owned(workers: list[WorkerProcess]) -> list[int]:
    """All partitions that are served, with how often each is."""
    return sorted(p for w in workers for p in w.get("/readyz").json.get("partitions", []))


def test_workers_take_new_partitions_and_old_ids_stay(cluster: Cluster) -> None:
    workers = [cluster.worker(), cluster.worker()]
    until(lambda: owned(workers) == [0, 1, 2, 3], 60, "they share four partitions")
    before = cluster.produce([b'{"handler": "echo", "data": 1}'] * 8)
    cluster.all_final(before)
    waiting = workers[0].submit(handler="echo", delay="1h")

    ended = faust("topics", "--grow", "7", cluster=cluster)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith("all topics have 7 partitions now. ")
    cluster.partitions = 7
    until(lambda: owned(workers) == list(range(7)), 60, "they share seven")
    late = cluster.worker()
    workers.append(late)
    until(lambda: owned(workers) == list(range(7)), 60, "one that comes later has its share")

    new = [id for p in range(7) for id in cluster.produce([b'{"handler": "echo"}'], partition=p)]
    assert {id.split("-")[0] for id in new} == set("0123456")
    cluster.all_final(new)
    for worker in workers:
        for id in [*before, *new]:
            assert worker.status(id)["status"] == "done"
        assert worker.status(waiting)["status"] == "waiting"
        assert len(worker.get("/job/all?limit=1000").json["jobs"]) == 16
    ids = {workers[0].submit(handler="echo").split("-")[0] for _ in range(60)}
    assert ids & set("456"), "what comes by HTTP goes to new partitions, too"
    assert workers[1].post(f"/job/{waiting}/cancel").status == 200
    listed = json.loads(faust("topics", "--json", cluster=cluster).stdout)
    assert [len(each["partitions"]) for each in listed["topics"]] == [7] * 5


def test_events_are_told_of_new_partitions(cluster: Cluster) -> None:
    worker = cluster.worker()
    listening = Listening(worker)
    assert faust("topics", "--grow", "6", cluster=cluster).returncode == 0
    cluster.partitions = 6
    until(lambda: owned([worker]) == list(range(6)), 60, "it has six")
    (id,) = cluster.produce([b'{"handler": "echo"}'], partition=5)
    until(lambda: (id, "done", 1) in listening.transitions(), 20, "it is told")
    assert listening.transitions() == [(id, "executing", 1), (id, "done", 1)]
    (told, *_) = (each.id for each in listening.told)
    listening.leave()
    again = Listening(worker, last_id=told)
    until(lambda: len(again.told) == 1, 20, "the rest is told again")
    again.leave()
