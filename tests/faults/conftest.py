"""A network for a worker of its own; what `make fuzz` was asked for, looked at before it begins."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

import pytest

from tests.faults.numbers import count, more_than_nothing
from tests.faults.proxy import Proxy


def pytest_configure() -> None:
    """Before anything is collected: a wrong number is a line and no traceback."""
    for name, check in (("MINUTES", more_than_nothing), ("SEED", count)):
        try:
            check(os.environ.get(f"JOBS_FUZZ_{name}", "1"))
        except argparse.ArgumentTypeError as exc:
            raise pytest.UsageError(f"{name}: {exc}") from None


@pytest.fixture
def network(kafka: str) -> Iterator[Proxy]:
    """Between one worker and the brokers; the others speak to them directly."""
    with Proxy(kafka) as proxy:
        yield proxy
