"""Brokers of a test's own. Missing Java or Maven: skipped on a laptop, failed in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.kafka import ApacheKafka, ApacheKafkaCluster, ApacheKafkaError, server


@pytest.fixture
def java() -> None:
    """What brokers run on."""
    try:
        server.find_java()
        server.jars()
    except ApacheKafkaError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def kafka_of_its_own(java: None) -> Iterator[ApacheKafka]:
    """One broker."""
    with ApacheKafka() as kafka:
        yield kafka


@pytest.fixture
def three(java: None) -> Iterator[ApacheKafkaCluster]:
    """Three brokers."""
    with ApacheKafkaCluster(3) as kafka:
        yield kafka
