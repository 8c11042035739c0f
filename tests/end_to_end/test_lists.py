"""Going from page to page through jobs that run, end and leave, while new ones arrive."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness import Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

COUNT = 5_000
WITHIN_S = 180.0  # on a machine that is busy with other things, too


def walk(workers: list[WorkerProcess], query: str, limit: int) -> list[Any]:
    """All pages, each from the next worker. One that lacks partitions is asked for again."""
    found: list[Any] = []
    cursor, turn = "", 0
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        turn += 1
        worker = workers[turn % len(workers)]
        answer = worker.get(f"/job/all?limit={limit}{query}{cursor}")
        assert answer.status == 200, answer.body
        page = answer.json
        if page["missing"]:
            time.sleep(0.05)  # it is not to be had at once
            continue
        assert len(page["jobs"]) <= limit
        found += page["jobs"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"
    raise AssertionError("the list has no end")


@contextmanager
def arriving(cluster: Cluster) -> Iterator[None]:
    """New jobs, all the time."""
    stop = threading.Event()

    def produce() -> None:
        while not stop.wait(0.05):
            cluster.produce([b'{"handler": "echo"}'] * 20)

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("order", ["id", "newest"])
def test_5000_jobs_while_they_run_and_workers_come(cluster: Cluster, order: str) -> None:
    workers = [cluster.worker(JOBS_MAX_OPEN="300"), cluster.worker(JOBS_MAX_OPEN="300")]
    ids = cluster.produce([b'{"handler": "sleep", "data": 0.01}'] * COUNT)
    with arriving(cluster):
        walks = [walk(workers, f"&order={order}", 150)]
        third = cluster.worker(ready=False)  # partitions change hands in the middle of the next
        walks.append(walk(workers, f"&order={order}", 100))
        third.wait_ready()
        walks.append(walk([*workers, third], f"&order={order}", 500))
        some = walk(
            workers, f"&order={order}&status=waiting,executing,done&handler=sleep,echo", 300
        )
        none = walk(workers, f"&order={order}&status=failed,canceled", 300)
    for jobs in (*walks, some):
        counts = Counter(job["id"] for job in jobs)
        assert [id for id, count in counts.items() if count > 1] == [], "listed twice"
        assert set(ids) - set(counts) == set(), "left out"
    assert none == []


def test_jobs_that_leave_push_no_other_out_of_the_list(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_KEEP="1s")
    stays = cluster.produce([b'{"handler": "echo", "delay": "600s"}'] * 400)
    with arriving(cluster):
        until(lambda: len(cluster.records(cluster.jobs)) > 1_000, 60, "many have come")
        for order in ("id", "newest"):
            jobs = walk([worker], f"&order={order}", 20)
            counts = Counter(job["id"] for job in jobs)
            assert max(counts.values()) == 1, "listed twice"
            assert set(stays) - set(counts) == set(), "left out"


def test_the_newest_come_first(cluster: Cluster) -> None:
    workers = [cluster.worker(), cluster.worker()]
    ids: list[str] = []
    for n in range(60):
        ids += cluster.produce([b'{"handler": "fail", "data": 9, "ttl": 0}'], partition=n * 7 % 4)
    cluster.all_final(ids)
    times = [workers[0].status(id)["submitted_at"] for id in ids]
    assert times == sorted(times)
    for query in ("", "&status=failed&error=SHALL+FAIL&handler=fail"):
        jobs = walk(workers, f"&order=newest{query}", 7)
        assert [job["submitted_at"] for job in jobs] == times[::-1]
        assert {job["id"] for job in jobs} == set(ids)
    newest = workers[0].get("/job/all?order=newest&limit=5").json["jobs"]
    assert {job["id"] for job in newest} == set(ids[-5:])
    assert walk(workers, "&order=newest&error=nothing+such", 7) == []
