"""The embedded broker as a real process: it answers, makes way, and never outlives its starter."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from devbroker import Broker, BrokerError, ports, probe
from devbroker.broker import PortTaken
from devbroker.run import kafka_host

CHECKOUT = Path(__file__).parents[2]
SOON_S = 20.0

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no embedded broker for Windows"),
]


def until(condition: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < give_up_at, f"not within {SOON_S} s: {what}"
        time.sleep(0.02)


def brokers_on(port: int) -> list[psutil.Process]:
    """The broker and its guard: both have the listener's address on their command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if f"tcp://127.0.0.1:{port}" in process.cmdline():
                found.append(process)
    return found


def gone(processes: list[psutil.Process]) -> bool:
    """True if none of them runs; the port won't do, a test beside us may have taken it since."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return False
    return True


@contextlib.contextmanager
def taken(port: int = 0) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", port)) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def program(*arguments: str, cwd: Path = CHECKOUT, **env: str) -> Iterator[subprocess.Popen[str]]:
    clean = {name: value for name, value in os.environ.items() if name != "KAFKA"}
    process = subprocess.Popen(
        [sys.executable, "-m", "devbroker", *arguments],
        cwd=cwd,
        env=clean | {"PYTHONPATH": str(CHECKOUT)} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores it, and what it starts would, too.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def address_in(line: str) -> int:
    assert line.startswith("Kafka: 127.0.0.1:"), line
    return int(line.rsplit(":", 1)[1])


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


@pytest.fixture
def checkout_with_worker(tmp_path: Path) -> Path:
    """A folder whose app.py says what it is given, and waits; it drains for a moment when told."""
    (tmp_path / "app.py").write_text(
        """
import os, signal, socket, sys, time
got = []
for s in (signal.SIGINT, signal.SIGTERM):
    signal.signal(s, lambda signum, frame: got.append(signum))
print(os.environ["KAFKA"], *sys.argv[1:], flush=True)
while not got:
    time.sleep(0.01)
time.sleep(0.5)
host, _, port = os.environ["KAFKA"].partition(":")
try:
    socket.create_connection((host, int(port)), 1).close()
    broker = "there"
except OSError:
    broker = "gone"
print(*[signal.Signals(s).name for s in got], broker, flush=True)
sys.exit(7)
"""
    )
    return tmp_path


def test_it_starts_and_another_client_can_use_it() -> None:
    with Broker(0) as broker:
        assert broker.alive
        metadata = AdminClient({"bootstrap.servers": broker.address}).list_topics(timeout=SOON_S)
        [member] = metadata.brokers.values()
        assert f"{member.host}:{member.port}" == broker.address


def test_stop_leaves_no_process_and_frees_the_port() -> None:
    broker = Broker(0).start()
    port = broker.port
    assert len(brokers_on(port)) == 2
    broker.stop()
    assert not broker.alive
    assert brokers_on(port) == []
    assert ports.is_free(port)
    broker.stop()  # once more does no harm


def test_it_can_be_started_again_and_is_empty_then() -> None:
    broker = Broker(0)
    for _ in range(2):
        with broker:
            admin = AdminClient({"bootstrap.servers": broker.address})
            assert not admin.list_topics(timeout=SOON_S).topics


def test_a_taken_port_is_left_alone() -> None:
    with taken() as port:
        with Broker(port) as broker:
            assert broker.port != port
        with pytest.raises(PortTaken, match=f"Port {port} .*KAFKA=host:port"):
            Broker(port, strict=True).start()


def test_a_broker_that_is_there_already_is_not_taken_for_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The port is taken between the look and the start: the look is made to see nothing."""
    with Broker(0) as first:
        monkeypatch.setattr(ports, "is_free", lambda _: True)
        with Broker(first.port) as second:
            assert second.port != first.port
            assert second.alive
        assert first.alive


def test_something_that_is_no_kafka_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SOON_S)
        host, port = server.getsockname()
        real = socket.create_connection

        def connect_and_answer(*args: object, **kwargs: object) -> socket.socket:
            client = real((host, port))
            answering, _ = server.accept()
            with answering:
                answering.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return client

        monkeypatch.setattr(socket, "create_connection", connect_and_answer)
        with pytest.raises(probe.NotKafka):
            probe.ask(host, port, timeout_s=SOON_S)


@pytest.mark.parametrize("victim", ["starter", "guard", "broker"])
def test_nothing_survives_when_one_is_killed(victim: str) -> None:
    with program("serve") as starter:
        port = address_in(line_of(starter))
        guard, broker = psutil.Process(starter.pid).children(recursive=True)
        assert f"tcp://127.0.0.1:{port}" in broker.cmdline()
        pids = {"starter": starter.pid, "guard": guard.pid, "broker": broker.pid}
        os.kill(pids[victim], signal.SIGKILL)
        until(lambda: gone([guard, broker]), "guard and broker are gone")
        starter.wait(SOON_S)


def test_serve_takes_the_port_asked_for_or_says_why_not() -> None:
    with taken() as port, program("serve", "--port", str(port)) as serve:
        _, errors = serve.communicate(timeout=SOON_S)
        assert serve.returncode == 1
        assert f"Port {port} of 127.0.0.1 is taken" in errors
    with program("serve", "--port", str(port)) as serve:
        assert address_in(line_of(serve)) == port
        started = psutil.Process(serve.pid).children(recursive=True)
        assert len(started) == 2  # guard, broker
        serve.send_signal(signal.SIGINT)
        assert serve.wait(SOON_S) == 0
    assert gone(started)


def test_a_broker_that_cannot_run_says_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "tansu"
    broken.write_text("#!/bin/sh\necho it is out of order\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(broken))
    with pytest.raises(BrokerError, match="it is out of order"):
        Broker(0).start()


def test_a_home_that_cannot_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("a file, so no folder can be made in it, even by root")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CALF_TANSU_BIN", raising=False)
    with pytest.raises(BrokerError, match=r"\.calfkit.*KAFKA=host:port"):
        Broker(0).start()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_run_lets_the_worker_drain_before_the_broker_goes(
    checkout_with_worker: Path, signum: signal.Signals
) -> None:
    with program("run", "--", "-p", "8081", cwd=checkout_with_worker) as run:
        port = address_in(line_of(run))
        assert "forgets all" in line_of(run)
        assert line_of(run) == f"127.0.0.1:{port} -p 8081"
        started = psutil.Process(run.pid).children(recursive=True)
        assert len(started) == 3  # guard, broker, worker
        run.send_signal(signum)
        assert line_of(run) == f"{signum.name} there"
        assert run.wait(SOON_S) == 7
        assert gone(started)


def test_ctrl_c_in_a_terminal_reaches_the_worker_once(checkout_with_worker: Path) -> None:
    """A terminal sends SIGINT to its whole foreground process group, not to one process."""
    pty = pytest.importorskip("pty", reason="needs a terminal")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(checkout_with_worker)
        os.environ["PYTHONPATH"] = str(CHECKOUT)
        os.environ.pop("KAFKA", None)
        os.execv(sys.executable, [sys.executable, "-m", "devbroker", "run"])
    said = b""
    with contextlib.suppress(OSError):  # the terminal's end is an error on Linux
        interrupted = False
        while chunk := os.read(terminal, 4096):
            said += chunk
            if not interrupted and said.count(b"127.0.0.1:") == 2:
                os.write(terminal, b"\x03")
                interrupted = True
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert said.count(b"SIGINT") == 1, said
    assert b"SIGINT there" in said
    assert os.waitstatus_to_exitcode(status) == 7


def test_run_ends_the_worker_when_the_broker_dies(checkout_with_worker: Path) -> None:
    with program("run", cwd=checkout_with_worker) as run:
        port = address_in(line_of(run))
        line_of(run)
        assert line_of(run) == f"127.0.0.1:{port}"
        started = psutil.Process(run.pid).children(recursive=True)
        for process in [p for p in started if "app.py" not in p.cmdline()]:
            with contextlib.suppress(psutil.NoSuchProcess):  # the guard's end ends the broker
                process.kill()
        assert line_of(run) == "SIGTERM gone"
        assert run.wait(SOON_S) == 7
        assert run.stderr is not None
        assert "broker has died" in run.stderr.read()


@pytest.mark.skipif(sys.platform != "linux", reason="the worker is tied to us by Linux's prctl")
def test_a_killed_run_leaves_neither_broker_nor_worker(checkout_with_worker: Path) -> None:
    with program("run", cwd=checkout_with_worker) as run:
        for _ in range(3):
            line_of(run)
        started = psutil.Process(run.pid).children(recursive=True)
        assert len(started) == 3  # guard, broker, worker
        run.kill()
        until(lambda: gone(started), "guard, broker and worker are gone")


@pytest.mark.parametrize(
    ("flags", "env", "expected"),
    [
        ([], {"KAFKA": "k.example:1"}, "k.example:1"),
        (["-kh", "k.example"], {}, "k.example:9092"),
        (["--kafka-host=k.example:2"], {"KAFKA": "other:1"}, "k.example:2"),
    ],
)
def test_run_starts_no_broker_when_given_one(
    checkout_with_worker: Path, flags: list[str], env: dict[str, str], expected: str
) -> None:
    with program("run", "--", *flags, cwd=checkout_with_worker, **env) as run:
        assert line_of(run) == f"Kafka: {expected}"
        assert line_of(run) == " ".join([expected, *flags])
        below = [p.cmdline() for p in psutil.Process(run.pid).children(recursive=True)]
        assert len(below) == 1
        assert below[0][1] == "app.py"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], None),
        (["-p", "8080"], None),
        (["-kh", "a"], "a:9092"),
        (["-kh=a:1"], "a:1"),
        (["--kafka-host", "a:1", "-kh", "b:2"], "b:2"),
        (["-kh"], None),  # the worker's parser is the one to complain
    ],
)
def test_the_flag_that_names_a_broker(arguments: list[str], expected: str | None) -> None:
    assert kafka_host(arguments) == expected
