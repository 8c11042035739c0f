"""A consumer group that doesn't settle: the worker says so, and joins it afresh."""

from __future__ import annotations

import pytest

from tests.faults.proxy import JOIN_GROUP, Proxy
from tests.harness import Cluster, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

TOLD = "leaving it and joining it afresh"
SESSION = "6s"  # the least that Apache Kafka takes


def test_joins_that_are_never_answered_are_told_and_end_well(
    cluster: Cluster, network: Proxy
) -> None:
    network.swallow(JOIN_GROUP, 1_000)
    worker = cluster.worker(ready=False, KAFKA=network.address, JOBS_SESSION_TIMEOUT=SESSION)
    until(lambda: TOLD in worker.text(), 90, "it says that the group hasn't settled")
    assert worker.get("/readyz").status == 503
    network.swallow(JOIN_GROUP, 0)
    worker.wait_ready()
    id = worker.submit(handler="echo", data=1)
    assert cluster.all_final([id])[id]["status"] == "done"
