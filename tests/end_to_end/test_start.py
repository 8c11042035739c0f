"""Starting and stopping a worker, as a person does: what is said, and the exit codes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT, Cluster, WorkerProcess, free_port, http, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


def start(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("JOBS_", "KAFKA"))}
    return subprocess.run(
        [sys.executable, *args],
        cwd=ROOT,
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize(
    ("args", "environ", "says"),
    [
        (["-p", "99999"], {}, "JOBS_PORT='99999': must be a whole number from 1 to 65535"),
        (["-t", "soon"], {}, "JOBS_TIMEOUT='soon': must be a duration"),
        (["-kh", "a b"], {}, "KAFKA='a b': must be host or host:port"),
        (["-twrk", "0"], {}, "JOBS_WORKERS='0': must be a whole number from 1"),
        (["-rwrk", "-3"], {}, "JOBS_RERUN_WORKERS='-3': must be a whole number"),
        ([], {"JOBS_KEEP": "x", "JOBS_GRACE": "y"}, "JOBS_GRACE='y': must be a duration"),
        (["--nonsense"], {}, "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_settings_are_a_line_and_exit_code_2(
    args: list[str], environ: dict[str, str], says: str
) -> None:
    ended = start("app.py", *args, **environ)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_the_same_by_faust() -> None:
    ended = start("-m", "faust", "-A", "app", "worker", "-l", "info", JOBS_PORT="x")
    assert ended.returncode == 2
    assert ended.stderr.strip() == "error: JOBS_PORT='x': must be a whole number from 1 to 65535"


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = start("app.py", "-p", str(port), KAFKA=f"127.0.0.1:{free_port()}")
    assert ended.returncode == 1
    assert f"HTTP can't listen on 127.0.0.1:{port}" in ended.stderr
    assert "-p" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_a_broker_that_is_not_there_is_waited_for_and_named(cluster: Cluster) -> None:
    address = f"127.0.0.1:{free_port()}"
    cluster.kafka = address
    worker = cluster.worker(ready=False)
    until(lambda: f"waiting for Kafka at {address}" in worker.text(), 30, "it says what it does")
    worker.signal(signal.SIGINT)
    assert worker.process.wait(20) == 130
    assert "Traceback" not in worker.text()


class ByFaust(WorkerProcess):
    """A worker as Faust's own command line starts it."""

    command = (sys.executable, "-m", "faust", "-A", "app", "worker", "-l", "info")


def test_the_faust_command_runs_the_same_worker(cluster: Cluster) -> None:
    worker = cluster.worker(kind=ByFaust)
    id = worker.submit(handler="echo", data=1)
    until(lambda: worker.status(id)["status"] == "done", 20, "done")
    assert worker.terminate() == 0, worker.tail()


def test_the_ceiling_is_over_every_timeout(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_TIMEOUT="200ms")
    id = worker.submit(handler="sleep", data=50, timeout="100s", ttl=0)
    until(lambda: worker.status(id)["status"] == "failed", 20, "failed")
    assert worker.status(id)["error"] == "timed out after 200ms"


def test_run_starts_broker_and_worker_and_leaves_nothing(tmp_path: Path) -> None:
    """What ``make run`` calls."""
    port = free_port()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("JOBS_", "KAFKA"))}
    log = tmp_path / "run.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "devbroker", "run", "--", "-p", str(port), "-twrk", "2"],
            cwd=ROOT,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "ready:" in log.read_text(), 60, "ready")
        said = log.read_text()
        assert f"http://127.0.0.1:{port}/" in said
        assert "memory" in said, "that jobs are gone with the broker"
        kafka = re.findall(r"^Kafka: 127\.0\.0\.1:(\d+)$", said, re.MULTILINE)
        assert len(kafka) == 1
        url = f"http://127.0.0.1:{port}"
        id = http("POST", f"{url}/job", b'{"handler": "echo"}').json["id"]
        until(lambda: http("GET", f"{url}/job/{id}/status").json["status"] == "done", 20, "done")
        page = http("GET", f"{url}/")
        assert page.headers["content-type"].startswith("text/html")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
    for left in (port, int(kafka[0])):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", left)) != 0, "somebody still listens"
    assert "Traceback" not in log.read_text()
