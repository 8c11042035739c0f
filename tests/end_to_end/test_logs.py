"""What workers say: to people, to machines, and while Kafka is away."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.faults.proxy import Proxy
from tests.harness import Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(150)]


class Debug(WorkerProcess):
    """A worker that is to tell everything."""

    command = (sys.executable, "-m", "faust", "-A", "app", "--quiet", "worker", "-l", "debug")


def lines(worker: WorkerProcess) -> list[dict[str, Any]]:
    """Each of its lines as an object; one that is none fails."""
    text = worker.text()
    complete = text[: text.rfind("\n") + 1].splitlines()
    assert [line for line in complete if not line.startswith("{")] == []
    return [json.loads(line) for line in complete]


def about(worker: WorkerProcess, id: str) -> list[dict[str, Any]]:
    return [line for line in lines(worker) if line.get("job") == id]


def test_json_lines_say_which_attempt_they_are_about(cluster: Cluster) -> None:
    worker = cluster.worker(
        JOBS_LOG="json", JOBS_HANDLERS="tests.apps.processes,tests.apps.kinds", JOBS_PROCESSES="1"
    )
    asynchronous = worker.submit(handler="steps", timeout="300ms", ttl=0)
    process = worker.submit(handler="p-log")
    cluster.all_final([asynchronous, process])
    until(lambda: len(about(worker, process)) >= 2, 20, "its lines are there")
    name = f"{{}}:{worker.port}"
    for id, handler in ((asynchronous, "steps"), (process, "p-log")):
        for line in about(worker, id):
            assert (line["attempt"], line["handler"]) == (1, handler)
            assert line["worker"].endswith(name.format(""))
    said = {line["message"]: line for line in about(worker, process)}
    assert said["some news"]["level"] == "info", "without its prefix, which is in the fields"
    assert "LookupError: not there" in said["a mistake"]["exception"]
    (failed,) = [line for line in about(worker, asynchronous) if "failed" in line["message"]]
    assert (failed["logger"], failed["level"]) == ("tables.transitions", "info")
    assert "timed out after 300ms" in failed["message"]
    # Its end isn't looked at: the module prints a line of its own then, as it may.
    assert all({"time", "level", "logger", "message", "worker"} <= set(x) for x in lines(worker))


def test_a_start_is_a_handful_of_lines(cluster: Cluster) -> None:
    worker = cluster.worker()
    until(lambda: "ready:" in worker.text(), 20, "ready")
    said = worker.text().splitlines()
    assert len(said) <= 5, said
    assert "partitions 0-3 of 4 are ours" in worker.text()
    assert cluster.jobs in worker.text()


def test_at_debug_each_transition_is_a_line(cluster: Cluster) -> None:
    worker = cluster.worker(kind=Debug, JOBS_LOG="json")
    id = worker.submit(handler="fail", data=1)
    cluster.all_final([id])
    until(lambda: len(about(worker, id)) >= 5, 20, "its lines are there")
    moves = [line["message"].rpartition(": ")[2] for line in about(worker, id)]
    assert [move for move in moves if " -> " in move] == [
        "new -> executing",
        "executing -> waiting",
        "waiting -> executing",
        "executing -> done",
    ]
    theirs = {line["logger"].partition(".")[0] for line in lines(worker)}
    assert {"faust", "aiokafka"} <= theirs, "-l debug is for those who want to see all"


def test_a_broker_that_goes_and_comes_back_is_a_line_each(cluster: Cluster) -> None:
    with Proxy(cluster.kafka) as network:
        worker = cluster.worker(KAFKA=network.address)
        until(lambda: "ready:" in worker.text(), 20, "ready")
        before = len(worker.text().splitlines())
        network.reset()
        until(lambda: "no connection to Kafka" in worker.text(), 60, "it says so")
        until(
            lambda: worker.get("/metrics").body.find(b"jobs_kafka_reachable 0.0") > 0,
            90,
            "it has been away for a while",
        )
        network.heal()
        until(lambda: "Kafka answers again" in worker.text(), 90, "it says so")
        said = worker.text().splitlines()[before:]
        assert sum("no connection to Kafka" in line for line in said) == 1, said
        assert sum("Kafka answers again" in line for line in said) == 1, said
        # What it says besides is its own, once each: partitions that it let go of, say.
        assert len(said) < 25, said
        assert len(set(said)) == len(said)
        worker.kill()
