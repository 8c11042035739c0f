"""``jobs.testing.run``: a handler with a context and no broker, as a worker would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

import handlers  # noqa: F401 - registers those that come with the worker
from jobs.errors import InvalidRequest
from jobs.model import Status
from jobs.testing import Run, run, run_async
from tests.apps import kinds, rehearsed  # noqa: F401 - the latter registers its own


def test_a_result_comes_back_as_json() -> None:
    job = run("typed", kinds.Parcel("a", kinds.Size(3, 4)))
    assert (job.status, job.result) == ("done", {"name": "a", "area": 12})
    assert (job.error, job.exception, job.attempts, job.max_attempts) == (None, None, 1, 3)
    assert run(kinds.typed, {"name": "a", "size": {"width": 3, "height": 4}}) == job


def test_wrong_data_is_refused_before_the_first_attempt() -> None:
    job = run("typed", {"name": "a", "size": {"width": "3", "height": 4}}, attempts=5)
    assert (job.status, job.attempts) == (Status.FAILED, 0)
    assert job.error == "data.size.width: expected int, got str"
    assert run("small", "x" * 50).attempts == 0


def test_a_failure_shows_its_error_and_its_exception() -> None:
    job = run("steer", "error")
    assert (job.status, job.attempts, job.max_attempts) == ("waiting", 1, 6)
    assert job.error == "ValueError: an ordinary failure"
    assert isinstance(job.exception, ValueError)
    assert job.rerun_in_s is not None
    assert 0 <= job.rerun_in_s <= 1, "the worker's backoff: at most a second before the first"


def test_attempts_go_on_while_reruns_are_left() -> None:
    assert run("steer", "error", attempts=100).attempts == 6
    assert run("steer", "error", attempts=100, ttl=1).status == "failed"
    job = run("fail", 2, attempts=3)
    assert (job.status, job.attempts, job.result) == ("done", 3, {"succeeded_on_attempt": 3})
    assert job.exception is None


def test_steering() -> None:
    once = run("steer", "retry")
    assert (once.status, once.error, once.rerun_in_s) == ("waiting", "once more", 0.01)
    key = run("steer", "retry", attempts=3).result
    assert re.fullmatch(r"0-0@\d{13}", key), "of the job and its record, not of the attempt"
    discarded = run("steer", "discard", attempts=9)
    assert (discarded.status, discarded.attempts) == ("failed", 1)
    assert run("picky", "file", attempts=9).attempts == 1
    assert run("picky", "os", attempts=9).attempts == 6


def test_a_time_limit_counts() -> None:
    began = time.monotonic()
    assert run("sleep", 60, timeout="50ms", ttl=0).error == "timed out after 50ms"
    assert run("thread", 60, timeout="50ms", ttl=0).error == "timed out after 50ms"
    assert time.monotonic() - began < 20


def test_progress_and_follow_ups() -> None:
    job = run("steps", timeout="50ms", ttl=0)
    assert job.progress == [(0.25, "a quarter")]
    parent = run("parent", {"n": 1})
    assert parent.result == "0-1"
    assert parent.submitted == [{"handler": "echo", "data": {"n": 1}, "ttl": 0, "parent": "0-0"}]


def test_a_rehearsal_is_told() -> None:
    assert run("told-in-thread").result is False
    assert run("told-in-thread", rehearsal=True).result is True


def test_resources_are_given_or_opened_by_the_hooks(capsys: pytest.CaptureFixture[str]) -> None:
    shop = kinds.Shop()
    assert run("sell", resources=[shop]).result == 1
    assert shop.sold == 1
    assert capsys.readouterr().out == "", "hooks run only when asked for"
    assert run("sell", hooks=True).result == 1
    assert capsys.readouterr().out == "shop closed after 1 sales\n"
    without = run("sell")
    assert without.error is not None
    assert without.error.startswith("LookupError: no @startup function has given a Shop")


@pytest.mark.processes
def test_a_process_is_a_real_one() -> None:
    job = run("process", "x", timeout="60s")
    assert job.status == "done"
    assert job.result["pid"] != os.getpid()
    died = run("process", "die", timeout="60s", ttl=0)
    assert "exit code 7" in (died.error or "")
    assert run("process", "hang", timeout="1s", ttl=0).error == "timed out after 1s"


def test_mistakes_are_told() -> None:
    with pytest.raises(LookupError, match=r"no handler is named 'nobody' \(known: .*echo"):
        run("nobody")
    with pytest.raises(LookupError, match="is no handler: put @handler"):
        run(test_mistakes_are_told)
    with pytest.raises(InvalidRequest, match="data: object has no JSON form"):
        run("echo", object())
    with pytest.raises(InvalidRequest, match="timeout"):
        run("echo", timeout="soon")


@pytest.mark.asyncio
async def test_in_a_coroutine() -> None:
    with pytest.raises(RuntimeError, match="await run_async"):
        run("echo")
    assert isinstance(await run_async("echo", 1), Run)


def test_the_domain_stays_free_of_it() -> None:
    """The import-linter lets two modules through; this shows that nothing else leads to them."""
    code = "import sys, jobs, handlers; sys.exit(bool({'testing', 'agents'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
