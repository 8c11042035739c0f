"""The four endpoints on real workers, as a user meets them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.harness import FINAL, Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


def ended(worker: WorkerProcess, id: str) -> Any:
    return until(
        lambda: worker.status(id) if worker.status(id)["status"] in FINAL else None, 30, "final"
    )


def test_a_job_from_post_to_done(cluster: Cluster) -> None:
    worker = cluster.worker()
    answer = worker.post("/job", {"handler": "echo", "data": "hello", "timeout": 3_000_000_000})
    assert answer.status == 202
    id = answer.json["id"]
    assert answer.json == {"id": id, "status": "waiting"}
    assert answer.headers["location"] == f"/job/{id}/status"
    job = ended(worker, id)
    assert job["status"] == "done"
    assert job["result"] == "hello"
    assert job["attempt"] == 1
    assert job["max_attempts"] == 3
    assert job["submitted_at"] <= job["started_at"] <= job["finished_at"]
    assert job["started_at"].endswith("Z")
    assert job["error"] is None
    assert job["next_attempt_at"] is None
    assert job["worker"].endswith(f":{worker.port}")


def test_an_empty_body_is_a_job(cluster: Cluster) -> None:
    worker = cluster.worker()
    id = worker.post("/job").json["id"]
    assert worker.status(id)["handler"] == "simulate"


def test_from_the_answer_on_a_job_is_never_unknown(cluster: Cluster) -> None:
    """On either of two workers, under load, also before anybody has read the record."""
    workers = [cluster.worker(JOBS_MAX_OPEN="5"), cluster.worker(JOBS_MAX_OPEN="5")]
    until(
        lambda: all(len(w.get("/readyz").json.get("partitions", [])) == 2 for w in workers),
        60,
        "both own partitions",
    )
    wrong: list[Any] = []

    def user(worker: WorkerProcess, other: WorkerProcess) -> None:
        for _ in range(50):
            id = worker.submit(handler="sleep", data=0.1)
            for asked in (other, worker):
                answer = asked.get(f"/job/{id}/status")
                if answer.status != 200:
                    wrong.append((id, answer.status, answer.body))

    users = [
        threading.Thread(target=user, args=(workers[i % 2], workers[1 - i % 2])) for i in range(4)
    ]
    for each in users:
        each.start()
    for each in users:
        each.join()
    assert wrong == []


def test_jobs_that_nobody_has_read_are_listed_and_can_be_canceled(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_MAX_OPEN="4", JOBS_WORKERS="4")
    running = cluster.produce([b'{"handler": "sleep", "data": 500, "timeout": "600s"}'] * 4)
    until(lambda: [worker.status(i)["status"] for i in running] == ["executing"] * 4, 30, "busy")
    unread = cluster.produce([b'{"handler": "echo", "data": 1}'] * 8)
    assert [worker.status(i)["status"] for i in unread] == ["waiting"] * 8
    assert worker.status(unread[0])["handler"] == "echo"
    page = worker.get("/job/all").json
    assert {job["id"]: job["status"] for job in page["jobs"]} == {
        **dict.fromkeys(running, "executing"),
        **dict.fromkeys(unread, "waiting"),
    }
    answer = worker.post(f"/job/{unread[7]}/cancel")
    assert answer.status == 200, answer.body
    assert answer.json["status"] == "canceled"
    assert worker.post(f"/job/{unread[7]}/cancel").status == 200, "canceled twice is canceled"
    for id in running:
        assert worker.post(f"/job/{id}/cancel").status == 200
    for id in unread[:7]:
        assert ended(worker, id)["status"] == "done"
    assert worker.status(unread[7])["status"] == "canceled"
    rows = cluster.history()[unread[7]]
    assert [row["status"] for row in rows] == ["canceled"], "it never ran"


def test_cancel_of_what_has_ended_changes_nothing(cluster: Cluster) -> None:
    worker = cluster.worker()
    id = worker.submit(handler="echo")
    done = ended(worker, id)
    answer = worker.post(f"/job/{id}/cancel")
    assert answer.status == 409
    assert worker.status(id) == done


def test_pages_follow_each_other(cluster: Cluster) -> None:
    workers = [cluster.worker(), cluster.worker()]
    ids = cluster.produce([b'{"handler": "echo"}'] * 25 + [b'{"handler": "nope"}'] * 5)
    cluster.all_final(ids)
    in_order = sorted(ids, key=lambda i: [int(n) for n in i.split("-")])
    for worker in workers:
        for query, wanted in (
            ("", in_order),
            ("&status=done", [i for i in in_order if i in ids[:25]]),
            ("&status=failed&handler=nope", [i for i in in_order if i in ids[25:]]),
            ("&status=canceled", []),
        ):
            got: list[str] = []
            cursor = ""
            for _ in range(40):
                page = worker.get(f"/job/all?limit=7{query}{cursor}").json
                assert len(page["jobs"]) <= 7
                assert page["missing"] == []
                got += [job["id"] for job in page["jobs"]]
                if page["next"] is None:
                    break
                cursor = f"&cursor={page['next']}"
            assert got == wanted, query


def test_a_worker_that_does_not_answer_is_named(cluster: Cluster) -> None:
    import signal

    workers = [cluster.worker(), cluster.worker()]
    until(
        lambda: all(len(w.get("/readyz").json.get("partitions", [])) == 2 for w in workers),
        60,
        "both own partitions",
    )
    ids = cluster.produce([b'{"handler": "echo"}'] * 8)
    cluster.all_final(ids)
    gone = workers[1].get("/readyz").json["partitions"]
    workers[1].signal(signal.SIGSTOP)
    try:
        page = workers[0].get("/job/all").json
        missing = page["missing"]
        if missing:  # the group may have noticed already, then all are there
            assert sorted(p for m in missing for p in m["partitions"]) == sorted(gone)
            assert {int(job["id"].split("-")[0]) for job in page["jobs"]}.isdisjoint(gone)
        else:
            assert len(page["jobs"]) == 8
    finally:
        workers[1].signal(signal.SIGCONT)


def test_final_rows_leave_after_their_time(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_KEEP="2s")
    ids = cluster.produce([b'{"handler": "echo"}'] * 8)
    cluster.all_final(ids)
    for id in ids:
        until(lambda id=id: worker.get(f"/job/{id}/status").status == 404, 30, "gone")  # type: ignore[misc]
    assert worker.get("/job/all").json["jobs"] == []
    worker.kill()  # nothing committed since a second, perhaps: delivered again, and known
    second = cluster.worker(JOBS_KEEP="2s")
    after = second.submit(handler="echo")
    assert ended(second, after)["status"] == "done"
    assert {rows[-1]["status"] for id, rows in cluster.history().items() if id in ids} == {"gone"}
