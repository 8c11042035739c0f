"""A job's history, from the changelog, at any worker."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.harness import Answer, Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


def history(worker: WorkerProcess, id: str) -> Any:
    """The history; asked again while its partition changes hands."""

    def ask() -> Answer | None:
        got = worker.get(f"/job/{id}/history")
        return None if got.status == 503 else got

    answer = until(ask, 30, "its owner answers")
    assert answer.status == 200, answer.body
    return answer.json


def as_it_stands(cluster: Cluster, worker: WorkerProcess, id: str) -> Any:
    """The history, which must be what the observer sees in the changelog."""
    told = history(worker, id)
    assert (told["id"], told["topic"]) == (id, cluster.changelog)
    assert told["complete"] is True, told
    rows = cluster.history()[id]
    different = [row for row, before in zip(rows, [None, *rows], strict=False) if row != before]
    assert [(t["status"], t["attempt"], t["error"], t["worker"]) for t in told["transitions"]] == [
        (row["status"], row.get("attempt", 0), row.get("error"), row.get("worker"))
        for row in different
    ]
    records = {(r.partition, r.offset): r for r in cluster.records(cluster.changelog)}
    for transition in told["transitions"]:
        record = records[transition["partition"], transition["offset"]]
        assert record.key == id.encode()
        assert json.loads(record.value or b"")["status"] == transition["status"]
        fence = transition["fence"]
        assert record.headers["fence"].decode() == f"{fence['number']} {fence['instance']}"
    return told


def test_every_transition_at_any_worker(cluster: Cluster) -> None:
    workers = [cluster.worker(), cluster.worker()]
    until(
        lambda: all(len(w.get("/readyz").json.get("partitions", [])) == 2 for w in workers),
        60,
        "both own partitions",
    )
    ids = cluster.produce([b'{"handler": "fail", "data": 2}', b'{"handler": "nope"}'] * 4)
    noise = cluster.produce([b'{"handler": "echo"}'] * 400)
    late = workers[0].submit(handler="echo", delay="1h")
    cluster.all_final(ids + noise)
    for worker in workers:
        told = as_it_stands(cluster, worker, ids[0])
        steps = [(t["status"], t["attempt"]) for t in told["transitions"]]
        assert steps[:-6] in ([], [("waiting", 0)]), "no slot was free"
        assert steps[-6:] == [
            ("executing", 1), ("waiting", 1), ("executing", 2), ("waiting", 2),
            ("executing", 3), ("done", 3),
        ]  # fmt: skip
        assert [t["at"] for t in told["transitions"]] == sorted(
            t["at"] for t in told["transitions"]
        )
        told = as_it_stands(cluster, worker, ids[1])
        assert [t["status"] for t in told["transitions"]] == ["failed"]
        for id in noise[::97]:
            as_it_stands(cluster, worker, id)
        (waiting,) = as_it_stands(cluster, worker, late)["transitions"]
        assert (waiting["status"], waiting["next_attempt_at"] is None) == ("waiting", False)
        assert worker.get("/job/0-9999/history").status == 404
        assert worker.get("/job/x/history").status == 400


def test_a_job_that_nobody_has_read_has_none_yet(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_MAX_OPEN="4", JOBS_WORKERS="4")
    running = cluster.produce([b'{"handler": "sleep", "data": 500, "timeout": "600s"}'] * 4)
    until(lambda: [worker.status(i)["status"] for i in running] == ["executing"] * 4, 30, "busy")
    unread = cluster.produce([b'{"handler": "echo"}'] * 4)
    told = history(worker, unread[0])
    assert (told["transitions"], told["complete"]) == ([], True)


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
def test_the_chain_goes_on_over_deaths_and_stops(cluster: Cluster, store: str) -> None:
    """Killed in the attempt, stopped in the next one; then the job ends. With a copy on disk, the
    place comes from there."""
    settings = {"JOBS_STORE": store, "JOBS_STORE_DIR": str(cluster.folder / "copy")}
    first = cluster.worker(ready=True, kind=None, JOBS_GRACE="0", **settings)
    port = str(first.port)
    id = first.submit(handler="sleep", data=8, timeout="60s")
    other = first.submit(handler="echo", delay="20s")
    until(lambda: first.status(id)["status"] == "executing", 20, "it runs")
    if store == "rocksdb":
        until(lambda: any((cluster.folder / "copy").rglob("*.log")), 20, "the copy is made")
        ids = cluster.produce([b'{"handler": "echo"}'] * 40)
        cluster.all_final(ids)
    first.kill()
    second = cluster.worker(ready=True, kind=None, JOBS_PORT=port, JOBS_GRACE="0", **settings)
    until(lambda: second.status(id)["status"] == "executing", 30, "it runs again")
    assert second.terminate() == 0
    third = cluster.worker(ready=True, kind=None, JOBS_PORT=port, **settings)
    cluster.all_final([id, other], 90)
    told = as_it_stands(cluster, third, id)
    assert [t["status"] for t in told["transitions"]] == [
        "executing", "waiting", "executing", "waiting", "executing", "done",
    ]  # fmt: skip
    assert len({t["fence"]["instance"] for t in told["transitions"]}) == 3
    as_it_stands(cluster, third, other)


def test_a_row_of_a_former_owner_is_left_out(cluster: Cluster) -> None:
    one, two = cluster.worker(), cluster.worker()
    until(
        lambda: all(len(w.get("/readyz").json.get("partitions", [])) == 2 for w in (one, two)),
        60,
        "both own partitions",
    )
    ids = cluster.produce([b'{"handler": "sleep", "data": 1}'] * 40)
    until(lambda: len(cluster.states()) > 30, 30, "they run")
    two.signal(signal.SIGSTOP)
    until(lambda: len(one.get("/readyz").json.get("partitions", [])) == 4, 60, "all are its")
    two.signal(signal.SIGCONT)
    cluster.all_final(ids, 120)
    for id in ids:
        as_it_stands(cluster, one, id)


def test_rows_of_an_older_version_are_told_as_far_as_they_are_known(cluster: Cluster) -> None:
    """Their records name no place before them. A final one is found by its time, others near it."""
    assert cluster.worker().terminate() == 0
    at = int(time.time() * 1000)
    producer = Producer({"bootstrap.servers": cluster.kafka})

    def put(topic: str, key: bytes | None, value: Any, headers: dict[str, bytes]) -> None:
        text = json.dumps(value, separators=(",", ":")).encode()
        producer.produce(topic, text, key, 0, timestamp=at, headers=list(headers.items()))
        assert producer.flush(30) == 0

    old = {"fence": b"50 old"}
    put(cluster.jobs, None, {"handler": "echo"}, {})
    row = {"status": "executing", "submitted_at": at, "handler": "echo", "attempt": 1}
    put(cluster.changelog, b"0-0", row, old)
    put(cluster.changelog, b"0-0", {**row, "status": "done", "finished_at": at}, old)
    put(cluster.jobs, None, {"handler": "echo"}, {})
    put(cluster.changelog, b"0-1", {**row, "status": "waiting", "attempt": 0}, old)
    worker = cluster.worker()
    until(lambda: worker.status("0-1")["status"] == "done", 30, "it goes on with the second one")
    told = history(worker, "0-0")
    assert [t["status"] for t in told["transitions"]] == ["executing", "done"]
    assert told["complete"] is False
    assert "isn't known" in told["detail"]
    told = history(worker, "0-1")
    assert [t["status"] for t in told["transitions"]] == ["waiting", "executing", "done"]
    assert told["complete"] is False, "whether it was the first one isn't said"
