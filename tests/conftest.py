"""A broker for the session, and an app of its own on it for each test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from devbroker import Broker
from tests.harness import Cluster


def pytest_configure() -> None:
    """Whoever starts the tests in the background of a script has them ignore SIGINT, and so do all
    processes that they start; some of those are told to stop by it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """A real broker: the one that KAFKA names, else the embedded one. It can't be had: fails."""
    given = os.environ.get("KAFKA")
    if given:
        yield given
        return
    with Broker(0) as broker:
        yield broker.address


@pytest.fixture
def cluster(kafka: str, tmp_path: Path) -> Iterator[Cluster]:
    """Topics and group of one test."""
    made = Cluster(kafka, tmp_path)
    yield made
    made.close()
