"""Counts over all workers, at any of them."""

from __future__ import annotations

import signal

import pytest

from tests.harness import Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

NONE = {"waiting": 0, "executing": 0, "done": 0, "failed": 0, "canceled": 0}


def two_workers(cluster: Cluster, **settings: str) -> list[WorkerProcess]:
    workers = [cluster.worker(ready=True, kind=None, **settings) for _ in range(2)]
    until(
        lambda: all(len(w.get("/readyz").json.get("partitions", [])) == 2 for w in workers),
        60,
        "both own partitions",
    )
    return workers


def test_both_workers_tell_of_all(cluster: Cluster) -> None:
    workers = two_workers(cluster, JOBS_MAX_OPEN="4", JOBS_WORKERS="3", JOBS_RERUN_WORKERS="2")
    done = cluster.produce([b'{"handler": "echo"}'] * 20 + [b'{"handler": "nope"}'] * 4)
    cluster.all_final(done)
    running = cluster.produce([b'{"handler": "sleep", "data": 500, "timeout": "600s"}'] * 8)
    wanted = {**NONE, "done": 20, "failed": 4, "executing": 6, "waiting": 2}

    def settled(worker: WorkerProcess, lag: int) -> bool:
        told = worker.get("/stats").json
        return bool(lag <= told["lag"] <= lag + len(running) and told["jobs"] == wanted)

    # All room is taken before there are others, which a partition could be given room for in place
    # of another one's.
    until(lambda: settled(workers[0], 0), 30, "all that may run do")
    lag = len(cluster.produce([b'{"handler": "echo"}'] * 8))
    for worker in workers:
        # Intake moves its place on for what it has been given together, so that those of the
        # running jobs whose neighbours have no room may still count as not read.
        until(lambda worker=worker: settled(worker, lag), 30, "the others wait")  # type: ignore[misc]
        told = worker.get("/stats").json
        assert told["missing"] == []
        assert told["jobs"] == wanted
        assert {each["url"] for each in told["workers"]} == {w.url for w in workers}
        for each in told["workers"]:
            assert each["worker"].endswith(each["url"].rpartition(":")[2])
            assert each["slots"] == {"first": {"used": 3, "of": 3}, "rerun": {"used": 0, "of": 2}}
            assert (each["open"], each["executing"]) == (4, 3)
            assert set(each["gaps"].values()) == {0}
            assert (each["recovering"], each["draining"]) == (False, False)
            assert each["started_at"] < told["at"]
            assert sum(each["jobs"].values()) == 16
        assert [p["partition"] for p in told["partitions"]] == [0, 1, 2, 3]
        for place in told["partitions"]:
            owner = next(w for w in told["workers"] if place["partition"] in w["partitions"])
            assert place["worker"] == owner["url"]
            assert place["end"] == 10
            # The one that waits in a worker may be the next one of either of its partitions.
            assert place["position"] in (6, 7, 8, 9)
            assert place["lag"] == 10 - place["position"]

    def counted() -> bool:
        points = workers[0].get("/stats").json["series"]["points"]
        return sum(point["done"] + point["failed"] for point in points) == 24

    until(counted, 30, "the step in which they ended is over")
    series = workers[1].get("/stats").json["series"]
    assert series["step_s"] == 10
    assert len(series["points"]) == 60
    assert series["points"] == sorted(series["points"], key=lambda point: str(point["at"]))
    busy = [point for point in series["points"] if point["done"]]
    assert all(0 <= p["run_ms"]["p50"] <= p["run_ms"]["p99"] < 10_000 for p in busy)
    assert all(0 <= p["wait_ms"]["p50"] <= p["wait_ms"]["p99"] < 60_000 for p in busy)
    assert len(running) == 8


def test_a_worker_that_does_not_answer_is_missing(cluster: Cluster) -> None:
    workers = two_workers(cluster, JOBS_SESSION_TIMEOUT="20s")
    cluster.all_final(cluster.produce([b'{"handler": "echo"}'] * 8))
    until(lambda: workers[0].get("/stats").json["jobs"]["done"] == 8, 30, "all are counted")
    gone = workers[1].get("/readyz").json["partitions"]
    workers[1].signal(signal.SIGSTOP)
    try:
        told = workers[0].get("/stats").json
    finally:
        workers[1].signal(signal.SIGCONT)
    assert told["missing"] == [
        {"worker": workers[1].url, "partitions": gone, "reason": "it did not answer in 3s"}
    ]
    assert [each["url"] for each in told["workers"]] == [workers[0].url]
    assert told["jobs"]["done"] == 4
    for place in told["partitions"]:
        silent = place["partition"] in gone
        assert (place["worker"] is None, place["position"] is None) == (silent, silent)
        assert place["end"] == 2
