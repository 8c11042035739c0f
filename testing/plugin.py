"""pytest fixtures: the embedded broker, and a worker on it with the handlers of the user.

In ``pyproject.toml``, or as a fixture ``jobs_handlers`` of one's own:

    [tool.pytest.ini_options]
    jobs_handlers = "myapp.jobs"
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import pytest

from devbroker import Broker
from testing.worker import JobsWorker


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini option ``jobs_handlers``."""
    parser.addini("jobs_handlers", "JOBS_HANDLERS of the fixture jobs_worker", default="")


@pytest.fixture(scope="session")
def jobs_broker() -> Iterator[str]:
    """``host:port`` of the broker that KAFKA names, else of an embedded one."""
    given = os.environ.get("KAFKA")
    if given:
        yield given
        return
    with Broker(0) as broker:
        yield broker.address


@pytest.fixture(scope="module")
def jobs_handlers(pytestconfig: pytest.Config) -> str:
    """Modules with handlers, with commas between; by the ini option unless overridden."""
    return str(pytestconfig.getini("jobs_handlers"))


@pytest.fixture(scope="module")
def jobs_settings() -> Mapping[str, str]:
    """More of the worker's environment; override it to set some."""
    return {}


@pytest.fixture(scope="module")
def jobs_worker(
    jobs_broker: str,
    jobs_handlers: str,
    jobs_settings: Mapping[str, str],
    pytestconfig: pytest.Config,
) -> Iterator[JobsWorker]:
    """A worker, ready for jobs; one for each test module, with topics of its own."""
    settings = {"KAFKA": jobs_broker, "JOBS_HANDLERS": jobs_handlers, **jobs_settings}
    with JobsWorker(settings, pytestconfig.rootpath) as worker:
        yield worker
