"""Workers that die, leave and come: nothing is lost, and somebody always answers."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from typing import Any

import pytest

from tests.harness import FINAL, Cluster, Held, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


def count(cluster: Cluster, ids: list[str], status: str) -> int:
    states = cluster.states()
    return sum(states.get(i, {}).get("status") == status for i in ids)


def finals(rows: list[dict[str, Any]]) -> int:
    return sum(row["status"] in FINAL for row in rows)


def test_sigkill_in_the_middle_of_500_jobs_loses_none(cluster: Cluster) -> None:
    first = cluster.worker()
    ids = cluster.produce([b'{"handler": "sleep", "data": 0.2}'] * 500)
    until(lambda: count(cluster, ids, "done") > 50, 30, "some are done")
    first.kill()
    assert count(cluster, ids, "done") < 500, "all were done before the kill: it proves nothing"

    cluster.worker()
    states = cluster.all_final(ids)
    assert Counter(states[i]["status"] for i in ids) == {"done": 500}
    history = cluster.history()
    assert all(finals(history[i]) == 1 for i in ids), "a final state was written twice"
    assert all(states[i]["attempt"] == 1 for i in ids), "an interruption used up a rerun"


def test_two_workers_share_and_either_takes_over(cluster: Cluster) -> None:
    one, two = cluster.worker(), cluster.worker()

    def shared() -> bool:
        parts = [len(w.get("/readyz").json.get("partitions", [])) for w in (one, two)]
        return sorted(parts) == [2, 2]

    until(shared, 60, "each worker owns two of four partitions")
    ids = cluster.produce([b'{"handler": "sleep", "data": 0.5, "timeout": "30s"}'] * 100)
    until(lambda: count(cluster, ids, "done") > 10, 30, "some are done")
    for id in ids[:8]:  # from all four partitions, asked of either
        assert one.status(id)["id"] == two.status(id)["id"] == id
    for worker in (one, two):
        page = worker.get("/job/all?limit=1000").json
        assert [job["id"] for job in page["jobs"]] == sorted(
            ids, key=lambda i: [int(n) for n in i.split("-")]
        )
        assert page["missing"] == []

    before = cluster.states()
    assert {before[i].get("worker") for i in ids if before[i].get("worker")} == {
        f"{before[ids[0]]['worker'].rsplit(':', 1)[0]}:{w.port}" for w in (one, two)
    }, "both have run some"
    one.kill()
    states = cluster.all_final(ids)
    assert {states[i]["status"] for i in ids} == {"done"}
    until(lambda: two.get(f"/job/{ids[0]}/status").status == 200, 30, "the other has taken over")
    for id in ids:
        assert two.status(id)["status"] == "done"
    assert two.get("/job/all?limit=1000").json["missing"] == []


def test_sigterm_lets_running_attempts_finish_and_begins_none(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_WORKERS="4", JOBS_GRACE="20s")
    ids = cluster.produce([b'{"handler": "sleep", "data": 2, "timeout": "30s"}'] * 8)
    until(lambda: count(cluster, ids, "executing") == 4, 20, "four are executing")
    running = {i for i, row in cluster.states().items() if row["status"] == "executing"}
    assert worker.terminate() == 0, worker.tail()
    states = cluster.states()
    assert {i for i in ids if states[i]["status"] == "done"} == running
    assert {states[i]["status"] for i in set(ids) - running} == {"waiting"}

    cluster.worker()
    after = cluster.all_final(ids)
    assert {after[i]["status"] for i in ids} == {"done"}


def test_sigterm_interrupts_what_outlasts_the_grace_and_the_next_worker_resumes(
    cluster: Cluster,
) -> None:
    worker = cluster.worker(JOBS_GRACE="1s")
    ids = cluster.produce([b'{"handler": "sleep", "data": 8, "timeout": "30s", "ttl": 0}'] * 4)
    until(lambda: count(cluster, ids, "executing") == 4, 20, "all are executing")
    assert worker.terminate() == 0, worker.tail()
    assert {cluster.states()[i]["status"] for i in ids} == {"waiting"}

    cluster.worker()
    states = cluster.all_final(ids)
    assert {states[i]["status"] for i in ids} == {"done"}, "with no rerun allowed: none was used"
    assert {states[i]["attempt"] for i in ids} == {1}
    assert not any("crashes" in row for rows in cluster.history().values() for row in rows)


class Parted(WorkerProcess):
    command = (sys.executable, "-m", "faust", "-A", "tests.apps.parted", "worker", "-l", "info")


def test_a_second_sigterm_does_not_wait_for_the_grace(cluster: Cluster) -> None:
    worker = cluster.worker(kind=Parted, JOBS_GRACE="600s")
    ids = cluster.produce([b'{"handler": "sleep", "data": 500, "timeout": "600s"}'])
    until(lambda: count(cluster, ids, "executing") == 1, 20, "it is executing")
    worker.signal(signal.SIGTERM)
    until(lambda: "draining" in worker.text(), 20, "the drain has begun")
    worker.signal(signal.SIGTERM)
    assert worker.process.wait(60) == 0
    # uvloop would keep a signal of that moment until the next one comes.
    assert "the loop has ended" not in worker.text()
    assert cluster.states()[ids[0]]["status"] == "waiting"


def test_a_job_that_kills_three_workers_in_a_row_is_failed_as_poison(cluster: Cluster) -> None:
    worker = cluster.worker()
    ids = cluster.produce([b'{"handler": "sleep", "data": 500, "timeout": "600s"}'])
    for deaths in (1, 2, 3):
        until(lambda: count(cluster, ids, "executing") == 1, 30, "it is executing")
        worker.kill()
        worker = cluster.worker()

        def counted(deaths: int = deaths) -> bool:
            return any(row.get("crashes") == deaths for row in cluster.history()[ids[0]])

        until(counted, 30, f"death {deaths} is counted")
    row = cluster.all_final(ids)[ids[0]]
    assert row["status"] == "failed"
    assert "poison" in row["error"]
    (letter,) = cluster.records(f"{cluster.jobs}-dead")
    assert b"poison" in letter.headers["reason"]
    assert letter.value == b'{"handler": "sleep", "data": 500, "timeout": "600s"}'


def test_poison_takes_no_innocent_job_along(cluster: Cluster) -> None:
    """All that is executing when a worker dies counts a death; what has died twice is run one
    after another, and so the third death is the guilty one's."""
    app = "tests.apps.kinds"
    worker = cluster.worker(JOBS_HANDLERS=app)
    jobs = ["sleep", "deadly in the loop", "sleep", "sleep"]
    values = [json.dumps({"handler": name, "data": 2, "timeout": "60s"}).encode() for name in jobs]
    ids = cluster.produce(values, partition=0)
    for _ in range(3):
        assert worker.process.wait(60) == 1
        worker = cluster.worker(ready=False, JOBS_HANDLERS=app)
    states = cluster.all_final(ids)
    assert [states[i]["status"] for i in ids] == ["done", "failed", "done", "done"]
    assert "poison" in states[ids[1]]["error"]


def test_a_deploy_does_not_count_as_a_crash(cluster: Cluster) -> None:
    """A rebalance takes partitions from a worker that is alive and in the middle of a job."""
    first = cluster.worker()
    gate, reached = cluster.folder / "gate", cluster.folder / "reached"
    # The jobs run for a while, and a start may take longer on a busy machine.
    cluster.worker(kind=Held, ready=False, GATE=str(gate), AT_THE_GATE=str(reached))
    until(reached.exists, 60, "the second one is about to join")
    ids = cluster.produce([b'{"handler": "sleep", "data": 15, "timeout": "60s", "ttl": 0}'] * 8)
    until(lambda: count(cluster, ids, "executing") == 8, 20, "all are executing")
    gate.touch()
    states = cluster.all_final(ids, 90)
    assert {states[i]["status"] for i in ids} == {"done"}
    rows = [row for i in ids for row in cluster.history()[i]]
    assert not any("crashes" in row for row in rows)
    assert len({row.get("worker") for row in states.values()}) == 2, "none was moved"
    assert first.process.poll() is None
