"""What workers say in thousands of histories is nobody's to read."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.model.world import World, clock_of


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    yield
    logging.disable(before)


@pytest.fixture
def world() -> Iterator[World]:
    """The first worker serves the partition."""
    made = World()
    with clock_of(made.clock):
        made.assign(made.workers[0])
        made.run_all()
        yield made
        for worker in made.workers:
            worker.kill()
