"""Job functions of every kind, in a real worker."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.harness import FINAL, Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


@pytest.fixture
def worker(cluster: Cluster) -> WorkerProcess:
    return cluster.worker(JOBS_HANDLERS="tests.apps.kinds", JOBS_PROCESSES="2")


def ended(worker: WorkerProcess, id: str) -> Any:
    def look() -> Any:
        job = worker.status(id)
        return job if job["status"] in FINAL else None

    return until(look, 40, f"{id} is final")


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # where nobody waits for orphans
    except psutil.NoSuchProcess:
        return True


def run(worker: WorkerProcess, handler: str, data: Any = None, **more: Any) -> Any:
    return ended(worker, worker.submit(handler=handler, data=data, **more))


def test_typed_data(worker: WorkerProcess, cluster: Cluster) -> None:
    good = {"name": "a", "size": {"width": 3, "height": 4}}
    assert run(worker, "typed", good)["result"] == {"name": "a", "area": 12}
    bad = {"name": "a", "size": {"width": "3", "height": 4}}
    answer = worker.post("/job", {"handler": "typed", "data": bad})
    assert answer.status == 422
    assert answer.json["field"] == "data.size.width"
    (id,) = cluster.produce([b'{"handler": "typed", "data": {"name": "a"}, "ttl": 5}'])
    job = ended(worker, id)
    assert (job["status"], job["attempt"]) == ("failed", 0)
    assert job["error"].startswith("data: object missing required field size")
    assert worker.post("/job", {"handler": "small", "data": "x" * 50}).json["field"] == "data"


def test_threads(worker: WorkerProcess) -> None:
    ids = [worker.submit(handler="thread", data=0.5) for _ in range(5)]
    echo = run(worker, "echo", 1)
    assert echo["status"] == "done", "blocking functions don't hold the loop up"
    assert all(ended(worker, id)["result"].startswith("handler") for id in ids)
    late = run(worker, "thread", 60, timeout="100ms", ttl=0)
    assert late["error"] == "timed out after 100ms"
    assert run(worker, "thread", 0)["status"] == "done"


def test_a_process_that_hangs_is_killed_and_the_pool_heals(worker: WorkerProcess) -> None:
    first = run(worker, "process", "x")
    assert first["result"]["data"] == "x"
    hanging = [
        worker.submit(handler="process", data="hang", timeout="500ms", ttl=0) for _ in range(4)
    ]
    for id in hanging:
        assert ended(worker, id)["error"] == "timed out after 500ms"
    died = run(worker, "process", "die", ttl=0)
    assert died["status"] == "failed"
    assert died["error"] == (
        "poison: its process died 3 times in a row (exit code 7): killed, out of memory, "
        "or it called os._exit"
    )
    assert "trace" not in died
    raised = run(worker, "process", "raise", ttl=0)
    assert raised["error"] == "LookupError: from the process"
    assert "in_a_process" in raised["trace"]
    discarded = run(worker, "process", "discard", ttl=5)
    assert (discarded["error"], discarded["attempt"]) == ("never", 1)
    too_long = run(worker, "process", "too long", ttl=0)
    assert too_long["error"].startswith("ValueError: Retry's delay must be at least 0")
    retried = run(worker, "process", "retry", ttl=2)
    assert (retried["error"], retried["attempt"]) == ("not yet", 3)
    canceled = worker.submit(handler="process", data="hang", timeout="600s")
    until(lambda: worker.status(canceled)["status"] == "executing", 20, "it runs")
    assert worker.post(f"/job/{canceled}/cancel").status == 200
    again = run(worker, "process", "y")
    assert again["status"] == "done"


def test_processes_end_with_their_worker(cluster: Cluster, tmp_path: Path) -> None:
    worker = cluster.worker(JOBS_HANDLERS="tests.apps.processes")
    worker.submit(handler="p-stubborn", data=str(tmp_path / "pids"), timeout="600s")
    until((tmp_path / "pids").exists, 40, "it runs, and has started another one")
    me = psutil.Process(worker.process.pid)
    children = me.children(recursive=True)
    assert {int(pid) for pid in (tmp_path / "pids").read_text().split()} <= {
        child.pid for child in children
    }
    worker.kill()
    until(lambda: all(gone(child) for child in children), 20, "they have ended")


def test_what_a_process_tells_and_submits(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_HANDLERS="tests.apps.processes", JOBS_PROCESSES="1")
    id = worker.submit(handler="p-half", timeout="600s")
    told = {"fraction": 0.5, "note": "half"}
    until(lambda: worker.status(id)["progress"] == told, 20, "progress is told")
    assert f"job {id} attempt 1 (p-half): at work" in worker.text()
    assert worker.post(f"/job/{id}/cancel").status == 200
    assert worker.status(id)["progress"] is None
    for handler in ("p-parent", "t-parent"):
        parent = run(worker, handler, {"handler": "echo", "data": "hello", "ttl": 0})
        child = ended(worker, parent["result"])
        assert (child["result"], child["parent"]) == ("hello", parent["id"])
        bad = run(worker, handler, {"handler": "echo", "delay": "soon"})
        assert bad["result"][:2] == ["invalid", "delay"]
    assert run(worker, "p-context", timeout="60s")["result"]["same"]


def test_a_process_that_ignores_sigterm_hurts_nobody(cluster: Cluster, tmp_path: Path) -> None:
    worker = cluster.worker(
        JOBS_HANDLERS="tests.apps.processes", JOBS_PROCESSES="1", JOBS_GRACE="100ms"
    )

    def stubborn(name: str, timeout: str) -> tuple[str, psutil.Process]:
        path = tmp_path / name
        id = worker.submit(handler="p-stubborn", data=str(path), timeout=timeout, ttl=0)
        until(path.exists, 40, "it runs")
        return id, psutil.Process(int(path.read_text().split()[0]))

    id, process = stubborn("canceled", "600s")
    next = worker.submit(handler="p-context", timeout="60s", ttl=0)
    assert worker.post(f"/job/{id}/cancel").status == 200
    assert not process.is_running(), "what is recorded as canceled runs no more"
    assert (after := ended(worker, next))["status"] == "done", after
    id, process = stubborn("late", "3s")
    next = worker.submit(handler="p-context", timeout="60s", ttl=0)
    assert ended(worker, id)["error"] == "timed out after 3s"
    assert not process.is_running()
    assert (after := ended(worker, next))["status"] == "done", after
    id, process = stubborn("interrupted", "600s")
    assert worker.terminate() == 0, worker.tail()
    assert not process.is_running()
    assert "the handler doesn't end" not in worker.text()
    assert cluster.states()[id]["status"] == "waiting"


def test_steering(worker: WorkerProcess) -> None:
    job = run(worker, "steer", "retry")
    assert (job["status"], job["attempt"]) == ("done", 3)
    assert re.fullmatch(rf"{job['id']}@\d{{13}}", job["result"]), "the key of the job"
    job = run(worker, "steer", "discard")
    assert (job["status"], job["attempt"], job["error"]) == ("failed", 1, "it is of no use")
    job = run(worker, "steer", "error")
    assert (job["status"], job["attempt"], job["max_attempts"]) == ("failed", 6, 6)
    assert job["error"] == "ValueError: an ordinary failure"
    assert "in steer" in job["trace"]
    job = run(worker, "steer", "too long", ttl=0)
    assert job["error"].startswith("ValueError: Retry's delay must be at least 0 and at most 366d")
    assert "executor.py" not in job["trace"], "our own frames tell nobody anything"
    assert run(worker, "picky", "os")["attempt"] == 6
    assert run(worker, "picky", "file")["attempt"] == 1
    assert run(worker, "picky", "value")["attempt"] == 1


def test_progress_log_resources_and_follow_ups(worker: WorkerProcess) -> None:
    id = worker.submit(handler="steps", timeout="600s")
    until(lambda: worker.status(id)["progress"] is not None, 20, "progress is told")
    assert worker.status(id)["progress"] == {"fraction": 0.25, "note": "a quarter"}
    assert f"job {id} attempt 1 (steps): at work" in worker.text()
    assert worker.post(f"/job/{id}/cancel").status == 200
    assert worker.status(id)["progress"] is None
    assert run(worker, "sell")["result"] == 1
    assert run(worker, "sell")["result"] == 2
    parent = run(worker, "parent", "hello")
    child = ended(worker, parent["result"])
    assert (child["result"], child["parent"], child["max_attempts"]) == ("hello", parent["id"], 1)
    assert worker.terminate() == 0
    assert "shop closed after 2 sales" in worker.text()


def test_limits(worker: WorkerProcess) -> None:
    ids = [worker.submit(handler="narrow", data=0.3) for _ in range(12)]
    began = time.monotonic()
    assert run(worker, "echo", 1)["status"] == "done"
    assert worker.status(ids[-1])["status"] == "waiting", "others pass those over the limit"
    assert time.monotonic() - began < 30
    assert {ended(worker, id)["result"] for id in ids} <= {1, 2}
    paced = [worker.submit(handler="paced") for _ in range(15)]
    times = sorted(ended(worker, id)["result"] for id in paced)
    assert times[-1] - times[0] >= 1.3, "fifteen at ten a second"


def test_a_module_that_does_not_import_stops_the_start(cluster: Cluster) -> None:
    worker = cluster.worker(ready=False, JOBS_HANDLERS="tests.apps.nowhere")
    assert worker.process.wait(30) == 2
    assert "module 'tests.apps.nowhere' can't be imported: ModuleNotFoundError" in worker.text()


def test_what_handlers_do_wrong_stops_nothing(worker: WorkerProcess, cluster: Cluster) -> None:
    answer = worker.post("/job", {"handler": "colour", "data": {"name": "blue"}})
    assert (answer.status, answer.json["field"]) == (422, "data")
    (bad,) = cluster.produce([b'{"handler": "colour", "data": {"name": "blue"}}'], partition=1)
    (good,) = cluster.produce([b'{"handler": "colour", "data": {"name": "red"}}'], partition=1)
    assert "KeyError: 'blue'" in ended(worker, bad)["error"]
    assert ended(worker, good)["result"] == 1
    assert run(worker, "surrogate")["error"] == "ValueError: bad ?"


def test_code_that_would_end_the_program_outside_of_an_attempt(
    worker: WorkerProcess, cluster: Cluster
) -> None:
    answer = worker.post("/job", {"handler": "ending", "data": {"code": 3}})
    assert (answer.status, answer.json["field"]) == (422, "data")
    assert answer.json["detail"] == "data: refused with SystemExit: 3"
    (id,) = cluster.produce([b'{"handler": "ending", "data": {"code": 4}}'])
    assert ended(worker, id)["error"] == "data: refused with SystemExit: 4"
    for name, error in (
        ("fatal", "its outcome can't be kept (SystemExit)"),
        ("unasked", "its outcome can't be kept (KeyboardInterrupt)"),
        ("unasked-process", "its outcome can't be kept: KeyboardInterrupt"),
    ):
        job = run(worker, name)
        assert (job["status"], job["attempt"]) == ("failed", 1)
        assert job["error"].startswith(error)
    assert run(worker, "steer", "later")["status"] == "done", "the worker goes on"


def test_an_outcome_that_can_not_be_kept_fails_its_job_alone(
    worker: WorkerProcess, cluster: Cluster
) -> None:
    job = run(worker, "unkept")
    assert (job["status"], job["attempt"], job["max_attempts"]) == ("failed", 1, 6)
    assert job["error"] == "its outcome can't be kept (ZeroDivisionError); see the worker's log"
    (letter,) = cluster.records(f"{cluster.jobs}-dead")
    assert (letter.key, letter.headers["reason"]) == (job["id"].encode(), job["error"].encode())
    assert worker.text().count("a job's outcome can't be kept; please report this") == 1
    assert "in delay_s" in worker.text(), "the log shows where"
    assert run(worker, "steer", "later")["status"] == "done", "the worker goes on"


def test_a_thread_that_never_returns_does_not_keep_the_worker(worker: WorkerProcess) -> None:
    late = run(worker, "endless", timeout="200ms", ttl=0)
    assert late["error"] == "timed out after 200ms"
    assert worker.terminate() == 0, worker.tail()
