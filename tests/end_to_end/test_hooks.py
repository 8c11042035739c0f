"""What is shared is closed, when the start fails and when a worker's end is held up."""

from __future__ import annotations

import pytest

from tests.harness import Cluster

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


def test_what_was_open_is_closed_when_the_start_fails(cluster: Cluster) -> None:
    worker = cluster.worker(ready=False, JOBS_HANDLERS="tests.apps.unopened")
    assert worker.process.wait(40) == 1
    text = worker.text()
    assert "shop closed" in text
    last = text.strip().splitlines()[-1]
    says = "@startup tests.apps.unopened.open_bank failed: ConnectionError: the bank is away"
    assert last == f"error: {says}"
    assert "close_bank" not in text, "it had nothing to close, and that is no failure"


def test_an_endless_shutdown_function_does_not_keep_the_worker(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_HANDLERS="tests.apps.unclosed")
    assert worker.terminate() == 0
    assert "closing" in worker.text()
    assert "@shutdown functions took longer than 10s; the worker ends" in worker.text()
