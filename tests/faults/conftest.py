"""A network for a worker of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.proxy import Proxy


@pytest.fixture
def network(kafka: str) -> Iterator[Proxy]:
    """Between one worker and the brokers; the others speak to them directly."""
    with Proxy(kafka) as proxy:
        yield proxy
