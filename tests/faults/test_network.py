"""One worker is cut off from Kafka while the others aren't."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.proxy import HEARTBEAT, Proxy
from tests.harness import FINAL, Cluster, Held, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

JOB = b'{"handler": "sleep", "data": 0.2, "timeout": "30s"}'


def owned(worker: WorkerProcess) -> list[int]:
    """The partitions that a worker serves."""
    return list(worker.get("/readyz").json.get("partitions", []))


def shared(*workers: WorkerProcess) -> Callable[[], bool]:
    """Whether all four partitions are served, by all of these workers."""

    def check() -> bool:
        each = [owned(worker) for worker in workers]
        return all(each) and sorted(p for ours in each for p in ours) == [0, 1, 2, 3]

    return check


def assert_each_ended_once(cluster: Cluster, ids: list[str]) -> None:
    """All are done, and no final state was followed by another one."""
    states = cluster.all_final(ids, 120)
    assert Counter(states[i]["status"] for i in ids) == {"done": len(ids)}
    history = cluster.history()
    for id in ids:
        ends = [row for row in history[id] if row["status"] in FINAL]
        assert all(row == ends[0] for row in ends), (id, history[id])
        assert history[id][-1] == ends[0], (id, history[id])


@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_a_worker_that_is_cut_off_for_longer_than_its_session(
    cluster: Cluster, network: Proxy, fault: str
) -> None:
    cut_off = cluster.worker(KAFKA=network.address)
    other = cluster.worker()
    until(shared(cut_off, other), 60, "both have some")
    ids = cluster.produce([JOB] * 200)
    until(lambda: done(cluster, ids) > 10, 60, "some are done")

    getattr(network, fault)()
    until(lambda: len(owned(other)) == 4, 90, "the other one has taken everything over")
    before = done(cluster, ids)
    assert before < len(ids), "all were done before the cut: it proves nothing"
    ids += cluster.produce([JOB] * 40)
    until(lambda: done(cluster, ids) > before, 60, "the other one goes on")
    assert cut_off.process.poll() is None, cut_off.tail()
    assert cut_off.answers()

    network.heal()
    until(shared(cut_off, other), 120, "the first one is in the group again")
    ids += cluster.produce([JOB] * 40)
    assert_each_ended_once(cluster, ids)
    states = cluster.states()
    late = {states[id]["worker"] for id in ids[-40:]}
    assert len(late) == 2, "it runs jobs again"
    assert cut_off.submit(handler="echo", data=1)


def test_a_worker_that_has_lost_kafka_ends_when_it_is_asked_to(
    cluster: Cluster, network: Proxy
) -> None:
    """And without a traceback, whatever waits for a connection at that moment."""
    worker = cluster.worker(KAFKA=network.address, JOBS_GRACE="1s")
    network.reset()
    # Not by a line of its log: there is one a loss, and a new broker's group may have had it.
    until(lambda: worker.post("/job", {}, timeout_s=60).status == 503, 60, "it has noticed")
    assert worker.terminate() == 0, worker.tail()
    assert "Traceback" not in worker.text(), worker.tail(60)


def test_a_worker_that_is_cut_off_before_its_first_heartbeat_answers_for_nothing(
    cluster: Cluster, network: Proxy
) -> None:
    """It has been in the group for less than the time between two heartbeats."""
    other = cluster.worker(JOBS_SESSION_TIMEOUT="6s")
    network.swallow(HEARTBEAT, 1_000)
    cut_off = cluster.worker(ready=False, KAFKA=network.address, JOBS_SESSION_TIMEOUT="6s")
    until(lambda: cut_off.answers() and owned(cut_off), 60, "it owns partitions")
    (id,) = cluster.produce([b'{"handler": "echo"}'], partition=owned(cut_off)[0])
    until(lambda: cut_off.status(id)["status"] == "done", 20, "it has the row")
    network.cut()
    until(lambda: owned(other) == [0, 1, 2, 3], 60, "the other one owns all")
    assert cut_off.get(f"/job/{id}/status").status == 503


def done(cluster: Cluster, ids: list[str]) -> int:
    states = cluster.states()
    return sum(states.get(id, {}).get("status") == "done" for id in ids)


def test_an_interruption_shorter_than_the_session_moves_nothing(
    cluster: Cluster, network: Proxy
) -> None:
    worker = cluster.worker(KAFKA=network.address, JOBS_SESSION_TIMEOUT="20s")
    ids = cluster.produce([JOB] * 100)
    until(lambda: done(cluster, ids) > 10, 60, "some are done")
    network.cut()
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(worker.post("/job", {"handler": "echo"}, timeout_s=60))
    )
    asking.start()
    answered = done(cluster, ids)
    network.heal()
    asking.join(60)
    assert [answer.status for answer in answers] == [202]
    assert answered < len(ids)
    assert_each_ended_once(cluster, [*ids, answers[0].json["id"]])
    owners = [r for r in cluster.records(cluster.changelog) if r.key == b"owner"]
    assert len(owners) == cluster.partitions, "a partition was let go of"


def test_a_slow_network(cluster: Cluster, network: Proxy) -> None:
    worker = cluster.worker(KAFKA=network.address)
    network.slow(0.2)
    ids = [worker.submit(handler="echo", data=n) for n in range(5)]
    ids += cluster.produce([JOB] * 40)
    assert_each_ended_once(cluster, ids)
    assert worker.process.poll() is None


def held(cluster: Cluster, network: Proxy) -> Held:
    """A worker that is about to connect when its network has gone."""
    gate, reached = cluster.folder / "gate", cluster.folder / "reached"
    worker = cluster.worker(
        kind=Held,
        ready=False,
        KAFKA=network.address,
        GATE=str(gate),
        AT_THE_GATE=str(reached),
    )
    assert isinstance(worker, Held)
    until(reached.exists, 60, "it has seen Kafka")
    network.reset()
    gate.touch()
    until(lambda: "waiting for Kafka" in worker.text(), 60, "it says what it waits for")
    return worker


def test_kafka_goes_away_in_the_middle_of_a_start(cluster: Cluster, network: Proxy) -> None:
    worker = held(cluster, network)
    network.heal()
    worker.wait_ready(60)
    id = worker.submit(handler="echo", data=1)
    assert cluster.all_final([id])[id]["status"] == "done"
    assert worker.terminate() == 0, worker.tail()
    assert "Traceback" not in worker.text()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0)], ids=["SIGTERM", "SIGINT"]
)
def test_a_start_that_waits_for_kafka_can_be_ended(
    cluster: Cluster, network: Proxy, number: signal.Signals, code: int
) -> None:
    worker = held(cluster, network)
    worker.signal(number)
    assert worker.process.wait(30) == code, worker.tail()
    assert "Traceback" not in worker.text()
