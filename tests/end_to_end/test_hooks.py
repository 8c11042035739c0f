"""What is shared is closed, when the start fails and when a worker's end is held up."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.harness import Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


@pytest.mark.parametrize(
    ("bank", "error"),
    [
        ("away", "ConnectionError: the bank is away"),
        ("exits", "SystemExit: 4"),
        ("interrupts", "KeyboardInterrupt: "),
    ],
)
def test_what_was_open_is_closed_when_the_start_fails(
    cluster: Cluster, bank: str, error: str
) -> None:
    worker = cluster.worker(ready=False, JOBS_HANDLERS="tests.apps.unopened", BANK=bank)
    assert worker.process.wait(40) == 1
    text = worker.text()
    assert "shop closed" in text
    last = text.strip("\n").splitlines()[-1]
    assert last == f"error: @startup tests.apps.unopened.open_bank failed: {error}"
    assert "close_bank" not in text, "it had nothing to close, and that is no failure"


@pytest.mark.parametrize("bank", ["hangs", "blocks"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_during_the_start_ends_it_quietly(
    cluster: Cluster, bank: str, number: signal.Signals, code: int
) -> None:
    worker = cluster.worker(ready=False, JOBS_HANDLERS="tests.apps.unopened", BANK=bank)
    until(lambda: "waiting for the bank" in worker.text(), 40, "the start waits")
    worker.signal(number)
    assert worker.process.wait(20) == code
    assert "error" not in worker.text()
    assert "Traceback" not in worker.text()


def test_a_signal_ends_the_start_where_python_loses_exceptions(cluster: Cluster) -> None:
    worker = cluster.worker(ready=False, JOBS_HANDLERS="tests.apps.unopened", BANK="is deaf")
    assert worker.process.wait(40) == 0
    text = worker.text()
    assert "forgetting the bank" in text
    assert "waiting for the bank" not in text, "it went on"
    assert "Exception ignored" not in text


class Stuck(WorkerProcess):
    command = (sys.executable, "-m", "faust", "-A", "tests.apps.stuck", "worker", "-l", "info")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_start_that_can_not_be_stopped_is_ended(
    cluster: Cluster, number: signal.Signals, code: int
) -> None:
    worker = cluster.worker(kind=Stuck, ready=False)
    until(worker.answers, 60, "it has begun to start")
    worker.signal(number)
    assert worker.process.wait(60) == code
    assert "the start couldn't be stopped in 10s: ending it" in worker.text()


def test_an_endless_shutdown_function_keeps_neither_the_worker_nor_the_others(
    cluster: Cluster,
) -> None:
    worker = cluster.worker(JOBS_HANDLERS="tests.apps.unclosed")
    assert worker.terminate() == 0
    text = worker.text()
    assert "closing" in text
    assert "@shutdown tests.apps.unclosed.wait failed" in text
    assert "TimeoutError: it was stopped after 5.0s" in text
    assert "@shutdown tests.apps.unclosed.cancels failed" in text
    assert "closed" in text.splitlines(), "each has its turn"
