"""Run a handler in a test, with a context and no broker: ``from jobs.testing import run``.

    def test_greet() -> None:
        assert run("greet", "you").result == "hello you"

This module and ``jobs.pytest_plugin`` are the package's two doors to code above it, so that all
that job functions need has one name, ``jobs``. No other module of the package imports them, and
a worker doesn't either.
"""

from testing.attempts import Run, run, run_async
from testing.worker import JobsWorker

__all__ = ["JobsWorker", "Run", "run", "run_async"]
