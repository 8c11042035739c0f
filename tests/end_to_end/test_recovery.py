"""What a new owner finds: whole batches, void rows of former owners, topics made again."""

from __future__ import annotations

import json
import signal

import pytest
from confluent_kafka import Producer

from tests.harness import Cluster, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


def test_a_changelog_whose_last_batch_holds_100_records_is_recovered_whole(
    cluster: Cluster,
) -> None:
    """The embedded broker reports the last batch's first offset + 1 as the end."""
    cluster.partitions = 1
    cluster.worker().terminate()  # makes the topics
    producer = Producer({"bootstrap.servers": cluster.kafka, "linger.ms": 500})
    for offset in range(100):
        row = {"status": "done", "submitted_at": 5, "handler": "echo", "finished_at": 4102444800000}
        producer.produce(
            cluster.changelog,
            json.dumps(row).encode(),
            f"0-{offset}".encode(),
            0,
            headers=[("fence", b"50 a")],
        )
    producer.flush(30)
    worker = cluster.worker()
    assert len(worker.get("/job/all?limit=1000").json["jobs"]) == 100


def test_a_worker_paused_past_its_session_writes_nothing_that_counts(cluster: Cluster) -> None:
    zombie = cluster.worker()
    ids = cluster.produce([b'{"handler": "sleep", "data": 3, "timeout": "60s"}'] * 8)

    def executing() -> bool:
        return sum(row["status"] == "executing" for row in cluster.states().values()) == 8

    until(executing, 30, "all are executing")
    zombie.signal(signal.SIGSTOP)
    other = cluster.worker()
    states = cluster.all_final(ids, 90)
    assert {states[i]["worker"].rsplit(":", 1)[1] for i in ids} == {str(other.port)}
    zombie.signal(signal.SIGCONT)
    more = cluster.produce([b'{"handler": "echo"}'] * 20)
    cluster.all_final(more, 90)
    assert {i: cluster.states()[i] for i in ids} == {i: states[i] for i in ids}
    until(lambda: zombie.get("/readyz").status == 200, 60, "the paused worker is a member again")
    for id in ids:
        assert zombie.status(id)["worker"] == other.status(id)["worker"] == states[id]["worker"]


def test_a_row_of_a_former_owner_is_void_and_the_right_one_is_written_again(
    cluster: Cluster,
) -> None:
    worker = cluster.worker()
    (id,) = cluster.produce([b'{"handler": "echo", "data": 7}'], partition=0)
    row = cluster.all_final([id])[id]
    producer = Producer({"bootstrap.servers": cluster.kafka})
    producer.produce(
        cluster.changelog,
        b'{"status":"failed","submitted_at":1,"error":"from a zombie"}',
        id.encode(),
        0,
        headers=[("fence", b"0 zombie")],
    )
    producer.flush(30)

    def last_record_is_right() -> bool:
        mine = [m for m in cluster.records(cluster.changelog) if m.key == id.encode()]
        return bool(mine) and mine[-1].value == mine[-3].value != mine[-2].value

    until(last_record_is_right, 30, "the row is written again behind the void one")
    assert worker.status(id)["result"] == 7
    assert cluster.states()[id] == row
