"""Idempotency keys: one key, one job, whoever asks whom how often, and whoever dies meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.harness import Answer, Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

JOB = {"handler": "echo", "data": 1}
SLOW = {"handler": "sleep", "data": 500, "timeout": "600s"}


class Faulted(WorkerProcess):
    """It dies where KILL_AT says."""

    command = (sys.executable, "-m", "faust", "-A", "tests.apps.faulted", "worker", "-l", "info")


def keyed(worker: WorkerProcess, key: str, body: Any = JOB) -> Answer:
    return worker.post("/job", body, headers={"Idempotency-Key": key})


def partition_of(key: str, count: int) -> int:
    """The rule, written anew from the docs."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % count


def key_in(partition: int, count: int = 4) -> str:
    return next(k for n in range(999) if partition_of(k := f"key {n}", count) == partition)


def shared(workers: list[WorkerProcess]) -> None:
    until(
        lambda: all(len(w.get("/readyz").json.get("partitions", [])) == 2 for w in workers),
        60,
        "both own partitions",
    )


def test_the_same_key_and_body_are_the_same_job(cluster: Cluster) -> None:
    worker = cluster.worker()
    first = keyed(worker, "a")
    assert first.status == 202
    id = first.json["id"]
    assert first.json == {"id": id, "status": "waiting"}
    assert "idempotency-replayed" not in first.headers
    assert int(id.split("-")[0]) == partition_of("a", 4)
    cluster.all_final([id])
    until(lambda: worker.status(id)["status"] == "done", 10, "shown")
    again = keyed(worker, "a")
    assert (again.status, again.json) == (202, {"id": id, "status": "done"})
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    other = keyed(worker, "a", {"handler": "echo", "data": 2})
    assert other.status == 422
    assert other.json["field"] == "Idempotency-Key"
    assert other.json["id"] == id
    assert id in other.json["detail"]
    assert keyed(worker, "b").json["id"] != id
    assert len(cluster.records(cluster.jobs)) == 2


@pytest.mark.parametrize("key", ["", "é", "x" * 256])
def test_what_can_be_no_key_names_the_header(cluster: Cluster, key: str) -> None:
    worker = cluster.worker()
    answer = worker.post("/job", JOB, headers={"Idempotency-Key": key})
    assert answer.status == 400
    assert answer.json["field"] == "Idempotency-Key"
    assert keyed(worker, "x" * 255).status == 202
    assert keyed(worker, " ~!#").status == 202


def test_a_race_on_two_workers_makes_one_job(cluster: Cluster) -> None:
    workers = [cluster.worker(), cluster.worker()]
    shared(workers)
    with ThreadPoolExecutor(16) as pool:
        for n in range(12):
            ready = threading.Barrier(16)

            def ask(i: int, n: int = n, ready: threading.Barrier = ready) -> Answer:
                ready.wait()
                return keyed(workers[i % 2], f"race {n}")

            answers = list(pool.map(ask, range(16)))
            assert {a.status for a in answers} == {202}
            assert len({a.json["id"] for a in answers}) == 1
            assert sum("idempotency-replayed" in a.headers for a in answers) == 15
    records = cluster.records(cluster.jobs)
    assert len(records) == 12, "more was written than was needed"
    assert {r.headers["idempotency-key"] for r in records} == {b"race %d" % n for n in range(12)}


def test_a_request_with_a_key_may_wait_for_its_job_at_any_worker(cluster: Cluster) -> None:
    workers = [cluster.worker(), cluster.worker()]
    shared(workers)
    body = {"handler": "sleep", "data": 0.3}
    for n in range(4):
        key = {"Idempotency-Key": key_in(n)}
        first = workers[n % 2].post("/job?wait=30s", body, headers=key)
        again = workers[1 - n % 2].post("/job?wait=30s", body, headers=key)
        for answer in (first, again):
            assert (answer.status, answer.json["status"]) == (200, "done")
            assert answer.headers["location"] == f"/job/{first.json['id']}/status"
        assert again.json["id"] == first.json["id"]
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
def test_a_key_outlives_its_owner(cluster: Cluster, store: str) -> None:
    """Of a job that is done, one that runs, one that nobody has read."""
    folder = str(cluster.folder / "rows")
    one = cluster.worker(JOBS_STORE=store, JOBS_STORE_DIR=folder, JOBS_MAX_OPEN="1")
    done = keyed(one, key_in(0)).json["id"]
    cluster.all_final([done])
    runs = keyed(one, key_in(1), SLOW).json["id"]
    until(lambda: one.status(runs)["status"] == "executing", 30, "it is executing")
    unread = keyed(one, key_in(2)).json["id"]
    one.kill()
    two = cluster.worker(JOBS_STORE=store, JOBS_STORE_DIR=folder, JOBS_PORT=str(one.port))
    for key, body, id in ((0, JOB, done), (1, SLOW, runs), (2, JOB, unread)):
        again = keyed(two, key_in(key), body)
        assert (again.status, again.json["id"]) == (202, id), again.body
        assert "idempotency-replayed" in again.headers
        assert keyed(two, key_in(key), {"data": "other"}).status == 422
    assert len(cluster.records(cluster.jobs)) == 3


@pytest.mark.parametrize("phase", ["before", "sent", "acked"])
def test_kill_9_between_the_write_and_the_answer(cluster: Cluster, phase: str) -> None:
    """The client can't know; it asks again with the same key, elsewhere or later."""
    one = cluster.worker(kind=Faulted, KILL_AT=f"submit:{phase}:1")
    with contextlib.suppress(OSError):
        assert keyed(one, "k").status == 202
    one.process.wait(30)
    written = len(cluster.records(cluster.jobs))
    assert written == {"before": 0, "sent": written, "acked": 1}[phase]
    two = cluster.worker()
    answer = keyed(two, "k")
    assert answer.status == 202
    assert ("idempotency-replayed" in answer.headers) == (written == 1)
    id = answer.json["id"]
    assert cluster.all_final([id])[id]["status"] == "done"
    assert len(cluster.records(cluster.jobs)) == 1
    assert keyed(two, "k").json == {"id": id, "status": "done"}


def test_the_second_of_two_records_with_one_key_never_runs(cluster: Cluster) -> None:
    """Other programs may use keys, too, and a worker that is no longer the owner may."""
    cluster.worker().terminate()  # it has made the topics
    key = {"idempotency-key": b"k"}
    value = b'{"handler": "echo", "data": 1}'
    ids = cluster.produce([value] * 3, partition=1, headers=key)
    other = cluster.produce([value], partition=2, headers=key)  # keys count by partition
    worker = cluster.worker()
    states = cluster.all_final(ids + other)
    assert [states[i]["status"] for i in ids + other] == ["done", "canceled", "canceled", "done"]
    for id in ids[1:]:
        assert worker.status(id)["error"] == f"the same Idempotency-Key as job {ids[0]}"
        assert [row["status"] for row in cluster.history()[id]] == ["canceled"]
    late = cluster.produce([value], partition=1, headers=key)
    assert cluster.all_final(late)[late[0]]["status"] == "canceled"
    worker.kill()
    cluster.worker()
    later = cluster.produce([b"no JSON"], partition=1, headers=key)
    assert (
        cluster.all_final(later)[later[0]]["error"] == f"the same Idempotency-Key as job {ids[0]}"
    )


def test_a_key_is_found_behind_any_backlog_and_in_a_canceled_job(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_MAX_OPEN="1", JOBS_WORKERS="1")
    busy = worker.submit(**SLOW)
    until(lambda: worker.status(busy)["status"] == "executing", 30, "busy")
    key = key_in(3)
    cluster.produce([b'{"handler": "echo"}'] * 2_000, partition=3)
    first = cluster.produce(
        [b'{"handler": "echo", "data": 1}'], partition=3, headers={"idempotency-key": key.encode()}
    )[0]
    cluster.produce([b'{"handler": "echo"}'] * 2_000, partition=3)
    assert keyed(worker, key, b'{"handler":"echo","data":1}').status == 422, "other bytes"
    assert keyed(worker, key).json == {"id": first, "status": "waiting"}
    assert worker.post(f"/job/{first}/cancel").status in (200, 202)  # after a second, the latter
    until(lambda: worker.status(first)["status"] == "canceled", 30, "canceled")
    assert keyed(worker, key).json == {"id": first, "status": "canceled"}


def test_a_key_is_free_when_its_row_is_gone(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_KEEP="1s")
    first = keyed(worker, "k").json["id"]
    until(lambda: worker.get(f"/job/{first}/status").status == 404, 30, "gone")
    second = keyed(worker, "k", {"handler": "echo", "data": "other"})
    assert second.status == 202
    assert second.json["id"] != first
    assert cluster.all_final([second.json["id"]])


def test_keys_stay_true_while_owners_are_killed(cluster: Cluster) -> None:
    """Clients repeat what was not answered, at any worker, until it is; each key is one job."""
    workers = [cluster.worker(), cluster.worker()]
    shared(workers)
    told: dict[str, set[str]] = {f"k{n}": set() for n in range(60)}
    stop = threading.Event()

    def client(i: int) -> None:
        while not stop.is_set():
            for n, (key, ids) in enumerate(told.items()):
                worker = workers[(n + i) % len(workers)]
                with contextlib.suppress(OSError):
                    answer = keyed(worker, key)
                    if answer.status == 202:
                        ids.add(answer.json["id"])

    clients = [threading.Thread(target=client, args=(i,)) for i in range(4)]
    for each in clients:
        each.start()
    try:
        for n in (0, 1):
            workers[n].kill()
            workers[n] = cluster.worker()
        until(lambda: all(told.values()), 60, "each key has been answered")
    finally:
        stop.set()
        for each in clients:
            each.join()
    assert {len(ids) for ids in told.values()} == {1}, told
    ids = [next(iter(ids)) for ids in told.values()]
    cluster.all_final(ids)
    ran = {id for id, rows in cluster.history().items() if any("worker" in r for r in rows)}
    assert ran == set(ids), "a key's second job has run"
