"""Fixtures that run a real worker: ``pytest_plugins = ["jobs.pytest_plugin"]`` in a conftest.py.

The type of the fixture ``jobs_worker`` is ``jobs.testing.JobsWorker``.
"""

from testing.plugin import (
    jobs_broker,
    jobs_handlers,
    jobs_settings,
    jobs_worker,
    pytest_addoption,
)

__all__ = [
    "jobs_broker",
    "jobs_handlers",
    "jobs_settings",
    "jobs_worker",
    "pytest_addoption",
]
