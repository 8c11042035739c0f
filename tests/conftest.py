"""A broker for the session, and an app of its own on it for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devbroker import Broker
from tests.harness import Cluster


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
