"""JOBS_SESSION_TIMEOUT against a broker that has limits of its own, as Apache Kafka does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT, Cluster, free_port, until
from tests.kafka import ApacheKafka

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


@pytest.mark.parametrize("session", ["2s", "30m"])
def test_one_that_the_broker_does_not_take_is_a_line_and_exit_code_1(
    kafka_of_its_own: ApacheKafka, session: str
) -> None:
    kafka = kafka_of_its_own
    kafka.stop()
    kafka.properties["group.max.session.timeout.ms"] = "600000"
    kafka.start()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JOBS_")}
    settings = {"KAFKA": kafka.address, "JOBS_SESSION_TIMEOUT": session}
    ended = subprocess.run(
        [sys.executable, "app.py", "-p", str(free_port())],
        cwd=ROOT,
        env=clean | settings,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 1
    asked = {"2s": "2s", "30m": "1800s"}[session]
    assert f"error: JOBS_SESSION_TIMEOUT={asked}: the broker takes 6s to 600s" in ended.stderr
    assert "group.min.session.timeout.ms" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_one_that_is_longer_than_a_request_may_take_by_default(
    kafka_of_its_own: ApacheKafka, tmp_path: Path
) -> None:
    cluster = Cluster(kafka_of_its_own.address, tmp_path)
    try:
        worker = cluster.worker(JOBS_SESSION_TIMEOUT="2m")
        id = worker.submit(handler="echo", data=1)
        assert cluster.all_final([id])[id]["status"] == "done"
    finally:
        cluster.close()


def test_a_worker_that_is_refused_later_says_so_and_goes_on_trying(
    kafka_of_its_own: ApacheKafka, tmp_path: Path
) -> None:
    kafka = kafka_of_its_own
    cluster = Cluster(kafka.address, tmp_path)
    try:
        first = cluster.worker()
        restart(kafka, least_ms="20000")
        second = cluster.worker(JOBS_SESSION_TIMEOUT="25s", ready=False)
        line = "the broker doesn't take JOBS_SESSION_TIMEOUT=10s"
        # Once a minute; that it goes on trying is seen below.
        until(lambda: line in first.text(), 60, "the first one says so")
        second.wait_ready(90)
        restart(kafka, least_ms="6000")

        def shared() -> bool:
            owned = [len(w.get("/readyz").json.get("partitions", [])) for w in (first, second)]
            return owned == [2, 2]

        until(shared, 90, "both are in the group")
        id = first.submit(handler="echo", data=1)
        assert cluster.all_final([id])[id]["status"] == "done"
    finally:
        cluster.close()


def restart(kafka: ApacheKafka, *, least_ms: str) -> None:
    kafka.stop()
    kafka.properties["group.min.session.timeout.ms"] = least_ms
    kafka.start()
