"""The pytest plugin, as a user's conftest.py loads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jobs.testing import JobsWorker
from tests.harness import ROOT

pytest_plugins = ["jobs.pytest_plugin"]
pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def jobs_handlers() -> str:
    return "tests.apps.kinds"


def test_submit_status_wait_cancel(jobs_worker: JobsWorker) -> None:
    id = jobs_worker.submit("parent", {"n": 1})
    assert jobs_worker.status(id)["id"] == id
    job = jobs_worker.wait(id)
    assert job["status"] == "done"
    assert jobs_worker.wait(job["result"])["parent"] == id
    assert jobs_worker.run("fail", 1, ttl=1)["attempt"] == 2
    slow = jobs_worker.submit("steps", timeout="600s")
    with pytest.raises(AssertionError, match=rf"job {slow} isn't final after 0.1s: .*'steps'"):
        jobs_worker.wait(slow, timeout_s=0.1)
    assert jobs_worker.cancel(slow)["status"] == "canceled"
    assert "ready:" in jobs_worker.log()


def test_what_is_refused_is_told(jobs_worker: JobsWorker) -> None:
    with pytest.raises(AssertionError, match=r"POST /job was answered 422: .*data\.name"):
        jobs_worker.submit("typed", {"name": 1, "size": None})
    with pytest.raises(AssertionError, match=r"GET /job/0-999/status was answered 404"):
        jobs_worker.status("0-999")
    with pytest.raises(TypeError, match="a job has no option 'delays'"):
        jobs_worker.submit("echo", 1, delays="1s")


USERS = {
    "pyproject.toml": """
[tool.pytest.ini_options]
jobs_handlers = "mine.jobs"
pythonpath = ["src"]
""",
    "conftest.py": 'pytest_plugins = ["jobs.pytest_plugin"]\n',
    "src/mine/jobs.py": """
from jobs import Context, handler


@handler("double")
async def double(ctx: Context, data: int) -> int:
    return 2 * data
""",
    "app.py": "raise RuntimeError('a user may have one, too')",
    "test_mine.py": """
from jobs.testing import run
from mine.jobs import double


def test_without_a_broker():
    assert run(double, 21).result == 42


def test_in_a_worker(jobs_worker):
    assert jobs_worker.run("double", 21)["result"] == 42
""",
}


def pytest_of_a_user(folder: Path) -> subprocess.CompletedProcess[str]:
    for name, text in USERS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("JOBS_", "PYTEST_", "KAFKA"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_in_a_project_of_a_users_own(tmp_path: Path) -> None:
    ended = pytest_of_a_user(tmp_path)
    assert "2 passed" in ended.stdout, ended.stdout + ended.stderr
    left = [p for p in psutil.process_iter(["environ"]) if str(tmp_path) in str(p.info["environ"])]
    assert left == [], "the worker is gone"


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    settings = {"KAFKA": "127.0.0.1:1", "JOBS_HANDLERS": "nowhere.at.all"}
    with pytest.raises(AssertionError, match=r"has ended, exit code 2:\n(.*\n)*.*module 'nowhere"):
        JobsWorker(settings, tmp_path).__enter__()
