"""A consumer group that doesn't settle: the worker says so, and joins it afresh."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.proxy import JOIN_GROUP, Proxy
from tests.harness import Cluster
from tests.kafka import ApacheKafka

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

SESSION_S = 6
LIMIT_S = 2 * (SESSION_S + 3 * SESSION_S)  # session and rebalance timeout, twice
REQUEST_S = 90  # after which the client would ask again by itself


def test_a_join_that_is_never_answered(kafka_of_its_own: ApacheKafka, tmp_path: Path) -> None:
    cluster = Cluster(kafka_of_its_own.address, tmp_path)
    try:
        with Proxy(kafka_of_its_own.address) as network:
            network.swallow(JOIN_GROUP, 1)
            worker = cluster.worker(
                ready=False, KAFKA=network.address, JOBS_SESSION_TIMEOUT=f"{SESSION_S}s"
            )
            worker.wait_ready(REQUEST_S - 10)
            assert f"has not settled in {LIMIT_S}s: leaving it and joining it afresh" in (
                worker.text()
            )
            id = worker.submit(handler="echo", data=1)
            assert cluster.all_final([id])[id]["status"] == "done"
    finally:
        cluster.close()
