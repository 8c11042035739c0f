"""A cancel that was taken holds, whatever else happens at that moment."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import pytest

from tests.harness import Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


class Stubborn(WorkerProcess):
    """A worker whose handler ``stubborn`` is slow to stop."""

    command = (sys.executable, "-m", "faust", "-A", "tests.apps.stubborn", "worker", "-l", "info")


def test_a_cancel_outlives_the_worker_that_was_carrying_it_out(cluster: Cluster) -> None:
    cluster.partitions = 1
    worker = cluster.worker(kind=Stubborn)
    ids = [worker.submit(handler="stubborn", data=0.9, timeout="900s") for _ in range(4)]
    until(lambda: [worker.status(i)["status"] for i in ids] == ["executing"] * 4, 20, "they run")
    asked = [json.dumps({"id": id, "who": "test"}).encode() for id in ids]
    cluster.produce(asked, topic=f"{cluster.jobs}-cancel")
    until(lambda: len(cluster.records(f"{cluster.jobs}-cancel")) == 4, 20, "the cancels are there")
    worker.kill()  # before or after they are recorded: they hold

    cluster.worker(kind=Stubborn)
    states = cluster.all_final(ids)
    assert {states[i]["status"] for i in ids} == {"canceled"}


def test_a_handler_that_is_slow_to_stop_holds_up_no_other_cancel(cluster: Cluster) -> None:
    cluster.partitions = 1
    worker = cluster.worker(kind=Stubborn)
    slow = worker.submit(handler="stubborn", data=30, timeout="900s")
    quick = worker.submit(handler="sleep", data=600, timeout="900s")
    for id in (slow, quick):
        until(lambda id=id: worker.status(id)["status"] == "executing", 20, "it runs")  # type: ignore[misc]
    answers: list[int] = []
    asking = threading.Thread(
        target=lambda: answers.append(worker.post(f"/job/{slow}/cancel").status)
    )
    asking.start()
    assert worker.post(f"/job/{quick}/cancel").status in (200, 202)
    asking.join()
    assert answers[0] in (200, 202)
    states = cluster.all_final([slow, quick], 20)
    assert {states[i]["status"] for i in (slow, quick)} == {"canceled"}


def test_cancels_of_jobs_that_intake_reads_at_that_moment_hold(cluster: Cluster) -> None:
    """Intake is kept busy by dead letters while cancels leave rows that it must find."""
    cluster.partitions = 1
    worker = cluster.worker()
    cluster.produce([b"not json " + b"x" * 500_000] * 40)
    ids = cluster.produce([b'{"handler": "sleep", "data": 0.5}'] * 40)
    answers: dict[str, Any] = {}

    def user(some: list[str]) -> None:
        for id in some:
            answers[id] = worker.post(f"/job/{id}/cancel").status

    users = [threading.Thread(target=user, args=(ids[k::8],)) for k in range(8)]
    for each in users:
        each.start()
    for each in users:
        each.join()
    states = cluster.all_final(ids)
    held = [id for id in ids if answers[id] == 200]
    assert held, "none was canceled: it proves nothing"
    assert {states[id]["status"] for id in held} == {"canceled"}
    for id, rows in cluster.history().items():
        finals = [row["status"] for row in rows if row["status"] in ("done", "failed", "canceled")]
        assert len(finals) == 1, (id, finals)


def test_a_cancel_reaches_its_job_past_any_backlog(cluster: Cluster) -> None:
    """Faust delivers all topics one record after another: jobs that wait for room must not stop
    that. The audit, which reads what isn't delivered, is asleep."""
    cluster.partitions = 8
    worker = cluster.worker(JOBS_AUDIT="3600s", JOBS_WORKERS="4", JOBS_MAX_OPEN="100")
    cluster.produce([b'{"handler": "sleep", "data": 600, "timeout": "900s"}'] * 14_000)
    for _ in range(30):  # each frees slots for jobs that are canceled in the next round
        running = until(
            lambda: (
                len(found := worker.get("/job/all?status=executing").json["jobs"]) == 4 and found
            ),
            30,
            "all slots are taken",
        )
        ids = [job["id"] for job in running]
        for id in ids:
            asked = json.dumps({"id": id, "who": "test"}).encode()
            cluster.produce(
                [asked], topic=f"{cluster.jobs}-cancel", partition=int(id.split("-")[0])
            )
        until(lambda ids=ids: {worker.status(i)["status"] for i in ids} == {"canceled"}, 20, "stop")  # type: ignore[misc]
    assert set(worker.get("/stats").json["workers"][0]["gaps"].values()) == {0}


def test_what_was_canceled_while_no_worker_ran_never_begins(cluster: Cluster) -> None:
    cluster.worker().terminate()  # the topics are there
    ids = cluster.produce([b'{"handler": "echo"}'] * 40)
    for id in ids:
        asked = json.dumps({"id": id, "who": "test"}).encode()
        cluster.produce([asked], topic=f"{cluster.jobs}-cancel", partition=int(id.split("-")[0]))
    cluster.worker()
    cluster.all_final(ids)
    assert {tuple(row["status"] for row in rows) for rows in cluster.history().values()} == {
        ("canceled",)
    }
