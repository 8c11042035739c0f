"""Handlers in real processes: what they know, what they tell, and how they are killed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import pytest_asyncio

import handlers  # noqa: F401 - registers those that come with the worker
from agents.callers import Callers
from execution import inside
from execution.child import NotReady, ProcessDied
from execution.executor import Attempt, Returned, TimedOut
from execution.messages import Prepare, Ready
from execution.processes import Call, HandlerFailed, Listener, Processes
from jobs.model import Job, JobId, Status
from jobs.registry import HANDLERS
from jobs.resources import Resources
from jobs.testing import Run, run
from log.writer import NotWritten
from tests.apps import processes as app
from tests.harness import until

pytestmark = pytest.mark.processes

ID = JobId(3, 7)
attempt = partial(run, timeout="60s", ttl=0)


def nobody(request: bytes) -> Future[JobId]:
    raise AssertionError("nobody submits here")


def call(handler: str, data: Any = None, level: int = 0) -> Call:
    return Call(app.__name__, handler, ID, 1, 1, msgspec.json.encode(data), 7, level=level)


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[Processes]:
    made = Processes()
    yield made
    made.close()


async def perform(pool: Processes, asked: Call) -> Any:
    raw = await pool.call(asked, Listener(lambda fraction, note: None, nobody))
    return msgspec.json.decode(raw)


async def pids(path: Path) -> list[psutil.Process]:
    """The processes that a handler has named."""

    def look() -> list[psutil.Process]:
        until(path.exists, 60, "the handler runs")
        return [psutil.Process(int(pid)) for pid in path.read_text().split()]

    return await asyncio.to_thread(look)


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # one whose parent died before
    except psutil.NoSuchProcess:
        return True


# What it knows and tells


def test_progress_the_newest_word_counts() -> None:
    told = attempt("p-steps", 200_000).progress
    assert told[-1] == (1.0, "200000")
    assert told == sorted(told)
    assert len(told) < 2_000


def test_log_records_arrive_with_the_job_in_front(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jobs.handler")
    assert attempt("p-log").status == "done"
    records = [r for r in caplog.records if r.name == "jobs.handler"]
    assert [(r.levelname, r.message.partition("\n")[0]) for r in records] == [
        ("INFO", "job 0-0 attempt 1 (p-log): some news"),
        ("ERROR", "job 0-0 attempt 1 (p-log): a mistake"),
    ]
    assert "LookupError: not there" in (records[1].exc_text or "")
    assert records[1].__dict__["handler"] == "p-log"
    assert (records[0].funcName, records[0].process != os.getpid()) == ("log", True)


@pytest.mark.asyncio
async def test_what_the_worker_would_not_log_is_not_sent(
    pool: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "jobs.handler")  # here all would be logged
    await perform(pool, call("p-log", level=logging.ERROR))
    assert [r.levelname for r in caplog.records if r.name == "jobs.handler"] == ["ERROR"]


def test_deadline_and_resources() -> None:
    job = attempt("p-context")
    assert job.error is None
    told = job.result
    assert told["key"]
    assert datetime.fromisoformat(told["deadline"]) > datetime.now(UTC)
    assert 0 < told["remaining_s"] <= 60
    assert told["models"] == [told["pid"]] * 2 != [os.getpid()] * 2
    assert told["same"]


def test_an_asynchronous_startup_function_is_named() -> None:
    error = attempt("p-session").error or ""
    assert error.startswith("LookupError: no @startup function has given a Session")
    assert "open_session" in error
    assert "by a def one" in error


# Follow-ups


@pytest.mark.parametrize("handler", ["p-parent", "t-parent"])
def test_a_def_handler_submits(handler: str) -> None:
    job = attempt(handler, {"handler": "echo", "data": 5, "ttl": 1})
    assert job.result == "0-1"
    assert job.submitted == [{"handler": "echo", "data": 5, "ttl": 1, "parent": "0-0"}]
    invalid = attempt(handler, {"handler": "echo", "timeout": "soon"})
    assert invalid.result[:2] == ["invalid", "timeout"]
    assert invalid.submitted == []


@pytest.mark.parametrize("handler", ["p-odd", "t-odd", "a-odd"])
def test_data_of_a_follow_up_has_a_json_form_or_is_named(handler: str) -> None:
    for given, data in (("struct", {"weight": 3}), ("models", [{"words": 4}])):
        job = attempt(handler, given)
        assert job.submitted == [{"handler": "echo", "data": data, "parent": "0-0"}]
    for given, says in (
        ("object", "InvalidRequest: data: object has no JSON form: "),
        ("surrogate", "InvalidRequest: data: str has no JSON form: "),
        ("option", "TypeError: a job has no option 'foo' (it has timeout, ttl, delay, run_at)"),
        ("an option's value", "InvalidRequest: delay: object has no JSON form: "),
    ):
        job = attempt(handler, given)
        assert job.result.startswith(says)
        assert job.submitted == []


def test_a_processs_threads_submit() -> None:
    job = attempt("p-threads", 4)
    assert sorted(job.result) == sorted(f"0-{n}" for n in range(1, 21))
    assert sorted(each["data"] for each in job.submitted) == sorted([0, 1, 2, 3] * 5)


@pytest.mark.parametrize("handler", ["p-await", "t-await"])
def test_a_def_handler_that_would_await_is_told(handler: str) -> None:
    error = "RuntimeError: a def handler can't await ctx.submit: call ctx.submit_sync"
    assert attempt(handler).error == error


def test_the_event_loop_is_not_blocked() -> None:
    job: Run = attempt("a-parent")
    assert "await ctx.submit" in (job.error or "")
    assert job.submitted == []


async def refuse(request: dict[str, Any]) -> JobId:
    raise NotWritten("Kafka didn't acknowledge in 10s (jobs)")


@pytest.mark.asyncio
@pytest.mark.parametrize("handler", ["p-parent", "t-parent"])
async def test_kafka_does_not_acknowledge(handler: str) -> None:
    found = HANDLERS.get(handler)
    assert found is not None
    callers = Callers(HANDLERS, 1, Resources(), refuse)
    data = msgspec.Raw(b'{"handler": "echo"}')
    row = Job(status=Status.EXECUTING, submitted_at=0, handler=handler, data=data, attempt=1)
    try:
        result = await callers.call(found, ID, row, 60)
    finally:
        callers.close()
    told = result if isinstance(result, list) else msgspec.json.decode(result)
    assert told[0] == "not submitted"
    assert "Kafka didn't acknowledge in 10s" in told[1]


# Its end


@pytest.mark.asyncio
async def test_a_process_that_ignores_sigterm_is_gone_when_its_call_ends(
    pool: Processes, tmp_path: Path
) -> None:
    task = asyncio.create_task(perform(pool, call("p-stubborn", str(tmp_path / "pids"))))
    found = await pids(tmp_path / "pids")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone(found[0])
    async with asyncio.timeout(60):
        while not gone(found[1]):  # what it has started, which isn't our child
            await asyncio.sleep(0.01)
    assert (await perform(pool, call("p-context")))["same"]


@pytest.mark.asyncio
async def test_kills_in_the_middle_of_a_message_hurt_nobody(
    pool: Processes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)

    async def others() -> None:
        for _ in range(10):
            await perform(pool, call("p-steps", 1_000))

    async def killed(n: int) -> None:
        path = tmp_path / f"pids-{n}"
        task = asyncio.create_task(perform(pool, call("p-chatty", str(path))))
        (process,) = await pids(path)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert gone(process)

    async def kills() -> None:
        for n in range(8):
            await killed(n)

    await asyncio.gather(others(), others(), kills())


@pytest.mark.asyncio
async def test_one_that_is_killed_while_it_has_nothing_to_do(pool: Processes) -> None:
    first = (await perform(pool, call("p-context")))["pid"]
    assert (await perform(pool, call("p-context")))["pid"] == first, "it is kept"
    process = psutil.Process(first)
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(60):
        while not gone(process):
            await asyncio.sleep(0.01)
    assert (await perform(pool, call("p-context")))["pid"] != first


@pytest.mark.asyncio
async def test_sigterm_and_sigint_leave_its_end_to_the_worker(pool: Processes) -> None:
    first = (await perform(pool, call("p-context")))["pid"]
    os.kill(first, signal.SIGTERM)
    os.kill(first, signal.SIGINT)
    assert (await perform(pool, call("p-context")))["pid"] == first


@pytest.mark.asyncio
async def test_a_fork_that_comes_back_takes_no_further_call(pool: Processes) -> None:
    parent, fork = await perform(pool, call("p-fork-returns"))
    assert fork == 0
    pids = [(await perform(pool, call("p-context")))["pid"] for _ in range(3)]
    assert pids == [parent] * 3
    async with asyncio.timeout(60):
        while not all(map(gone, psutil.Process(parent).children())):
            await asyncio.sleep(0.01)


def test_sigterm_ends_what_a_handler_forks() -> None:
    assert attempt("p-terminates", timeout="20s").result == -signal.SIGTERM


@pytest.mark.asyncio
async def test_one_that_dies_is_noticed_though_a_fork_holds_its_connection(
    pool: Processes, tmp_path: Path
) -> None:
    told: list[str] = []
    listener = Listener(lambda fraction, note: told.append(note), nobody)
    with pytest.raises(ProcessDied, match="exit code 3"):
        await pool.call(call("p-forked", str(tmp_path / "pids")), listener)
    (left,) = await pids(tmp_path / "pids")
    left.kill()
    assert told == []


def test_a_process_that_dies_by_itself_is_no_failure_until_it_is_poison() -> None:
    job = attempt("p-dies", 5)
    assert (job.status, job.attempts) == ("waiting", 0)
    assert (job.error or "").startswith("its process died (exit code 5)")
    poison = attempt("p-dies", 5, attempts=9)
    assert (poison.status, poison.attempts) == ("failed", 1)
    assert (poison.error or "").startswith(
        "poison: its process died 3 times in a row (exit code 5)"
    )


def test_a_kill_by_the_time_limit_is_no_crash() -> None:
    job = run("p-half", timeout="200ms", ttl=4, attempts=4)
    assert (job.status, job.error) == ("waiting", "timed out after 200ms")


@pytest.mark.asyncio
async def test_a_kill_while_it_waits_for_a_follow_ups_id(pool: Processes) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    never: Future[JobId] = Future()

    def submit(request: bytes) -> Future[JobId]:
        loop.call_soon_threadsafe(asked.set)
        return never

    listener = Listener(lambda fraction, note: None, submit)
    task = asyncio.create_task(pool.call(call("p-parent", {"handler": "echo"}), listener))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    never.set_result(ID)  # its answer finds nobody, and that is no error


@pytest.mark.asyncio
async def test_close_kills_what_runs(tmp_path: Path) -> None:
    pool = Processes()
    task = asyncio.create_task(perform(pool, call("p-stubborn", str(tmp_path / "pids"))))
    found = await pids(tmp_path / "pids")
    pool.close()
    assert gone(found[0])
    with pytest.raises(ProcessDied) as caught:
        await task
    assert caught.value.exit_code is None, "it didn't die by itself"


def test_who_exits_without_a_close_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, os, sys\n"
        "from execution.processes import Listener, Processes\n"
        "from tests.unit.test_processes import call\n"
        "async def main():\n"
        "    asked = call('p-stubborn', sys.argv[1])\n"
        "    task = asyncio.create_task(Processes().call(asked, Listener(print, print)))\n"
        "    while not os.path.exists(sys.argv[1]):\n"
        "        await asyncio.sleep(0.01)\n"
        "    sys.exit(7)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.new_event_loop().run_until_complete(main())\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, script, path], env=environ, timeout=60, check=False)
    assert done.returncode == 7
    assert not psutil.pid_exists(int(path.read_text().split()[0]))


# Getting ready: its time isn't the attempt's

GATED = Call("tests.apps.gated", "p-gated", ID, 1, 1, b"null", 7)


class Gate:
    """Until it is open, no process gets through the import; one that tries names itself."""

    def __init__(self, folder: Path) -> None:
        self.path, self.pids = folder / "gate", folder / "pids"

    def open(self) -> None:
        self.path.touch()


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    made = Gate(tmp_path)
    monkeypatch.setenv("GATE", str(made.path))
    monkeypatch.setenv("AT_THE_GATE", str(made.pids))
    return made


@pytest.mark.asyncio
async def test_an_attempts_clock_starts_with_its_handler(pool: Processes, gate: Gate) -> None:
    attempt = Attempt("job 3-7 attempt 1")
    loop = asyncio.get_running_loop()
    begun = partial(loop.call_soon_threadsafe, attempt.start_clock)
    listener = Listener(lambda fraction, note: None, nobody, begun)
    limit_s = 0.3
    running = asyncio.create_task(
        attempt.run(partial(pool.call, GATED, listener), limit_s, at_once=False)
    )
    await pids(gate.pids)
    done, _ = await asyncio.wait([running], timeout=3 * limit_s)
    assert not done, "it has no outcome while its process imports"
    gate.open()
    assert isinstance(await running, Returned)

    hanging = Attempt("job 3-7 attempt 2")
    begun = partial(loop.call_soon_threadsafe, hanging.start_clock)
    listener = Listener(lambda fraction, note: None, nobody, begun)
    asked = GATED._replace(data=b'"hang"', timeout_s=limit_s)
    outcome = await hanging.run(partial(pool.call, asked, listener), limit_s, at_once=False)
    assert outcome == TimedOut(limit_s)
    await hanging.over()


@pytest.mark.asyncio
async def test_a_cancel_leaves_an_import_to_the_next_attempt(pool: Processes, gate: Gate) -> None:
    for _ in range(2):
        task = asyncio.create_task(perform(pool, GATED))
        (process,) = await pids(gate.pids)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    gate.open()
    assert await perform(pool, GATED) == process.pid


@pytest.mark.asyncio
async def test_other_modules_wait_for_an_import_that_goes_on(pool: Processes, gate: Gate) -> None:
    first = (await perform(pool, call("p-context")))["pid"]
    task = asyncio.create_task(perform(pool, GATED))
    await pids(gate.pids)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    other = asyncio.create_task(perform(pool, call("p-context")))
    gate.open()
    assert (await other)["pid"] == first
    assert await perform(pool, GATED) == first


@pytest.mark.asyncio
async def test_a_process_that_does_not_get_ready_is_given_up(
    pool: Processes, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("execution.processes.READY_S", 1.0)
    with pytest.raises(NotReady, match=r"still starting, or importing module tests\.apps\.gated"):
        await perform(pool, GATED)
    gate.open()
    monkeypatch.setattr("execution.processes.READY_S", 60.0)
    assert await perform(pool, GATED)


# What it raises


@pytest.mark.asyncio
async def test_an_exception_that_can_be_neither_shown_nor_pickled(pool: Processes) -> None:
    with pytest.raises(HandlerFailed) as caught:
        await perform(pool, call("p-unshown"))
    assert str(caught.value) == "Unshown: (it can't be shown: its __str__ raises)"
    assert "in unshown" in caught.value.answer.trace
    assert "inside.py" not in caught.value.answer.trace


@pytest.mark.asyncio
async def test_a_module_that_cannot_be_imported_there(
    pool: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "half_imported.py"
    code = "from jobs import handler\n\n@handler('half')\ndef half(ctx, data):\n    return 1\n"
    module.write_text(code + "raise OSError('not today')\n")
    monkeypatch.syspath_prepend(str(tmp_path))  # processes get sys.path as it is here
    asked = Call("half_imported", "half", ID, 1, 1, b"null", 7)
    for _ in range(2):
        with pytest.raises(
            HandlerFailed, match="half_imported can't be imported in a process: OSE"
        ):
            await perform(pool, asked)
    module.write_text(code)
    assert await perform(pool, asked) == 1


@pytest.mark.asyncio
async def test_sys_exit_ends_the_attempt_only(pool: Processes) -> None:
    with pytest.raises(HandlerFailed, match="HandlerExit: the handler raised SystemExit: enough"):
        await perform(pool, call("p-exit"))
    with contextlib.suppress(HandlerFailed):
        await perform(pool, call("p-exit"))
    with pytest.raises(HandlerFailed, match="GeneratorExit: left") as left:
        await perform(pool, call("p-leaves"))
    assert not left.value.answer.worth_a_rerun
    assert (await perform(pool, call("p-context")))["same"]


def test_a_worker_that_has_gone_is_no_error_of_its_processes(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """They end, and say nothing: the log is for what went wrong."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=inside.main, args=(theirs, os.getpid(), app.__name__))
    process.start()
    theirs.close()
    ours.send(Prepare(app.__name__))
    assert isinstance(ours.recv(), Ready)
    ours.send(call("p-steps", 10))
    ours.close()  # before it can answer, or just after
    process.join(30)
    assert process.exitcode == 0
    assert capfd.readouterr().err == ""
