"""One node of Apache Kafka on this machine: KRaft, broker and controller in one process."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from devbroker import ports, probe
from devbroker.guard import die_with_parent

POM = Path(__file__).with_name("pom.xml")
READY_WITHIN_S = 90.0  # three seconds on a free machine
STOPPED_WITHIN_S = 30.0
ASK_EVERY_S = 0.05
ANSWER_WITHIN_S = 2.0
TRIES = 3  # a port that was free may be taken by the time the JVM is up
LOG_TAIL_BYTES = 4000
READY_LINE = "Kafka Server started"
TAKEN_LINES = ("Address already in use", "BindException")
# The quick compiler only: what lives for minutes spends more on optimizing than it gets back.
QUICK = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
INSTEAD = "KAFKA=host:port uses a broker that is running already."

# Its own words only where it is about to fail, and the one line that says that it listens.
LOGGING = """\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c: %m%n
logger.started.name = kafka.server.KafkaRaftServer
logger.started.level = INFO
"""


class ApacheKafkaError(Exception):
    """Apache Kafka can't be had; the message says why and what else can be done."""


class PortTaken(ApacheKafkaError):
    pass


@dataclass(frozen=True)
class Node:
    """A node's place in a cluster of several. ``controllers``: everybody's port, by node."""

    id: int
    cluster_id: str
    controllers: dict[int, int]

    def properties(self) -> dict[str, str]:
        """What it says of itself and the others."""
        voters = (f"{n}@{ports.LOOPBACK}:{port}" for n, port in self.controllers.items())
        return {"node.id": str(self.id), "controller.quorum.voters": ",".join(voters)}


def new_cluster_id() -> str:
    """A random one, in Kafka's own form."""
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")


class ApacheKafka:
    """``with ApacheKafka() as kafka: … kafka.address …``

    ``stop`` and ``kill`` keep port and data, and ``start`` after them is a restart, as of a real
    broker. Without a folder the data are in a temporary one, which ``close`` removes.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int = 0,
        node: Node | None = None,
        heap: str = "512m",
        quick: bool = True,
        properties: Mapping[str, str] | None = None,
        listeners: Mapping[str, int] | None = None,
    ) -> None:
        """
        Args:
            folder: keeps data and log.
            port: taken if it is free, else any.
            node: its place in a cluster; alone unless given.
            quick: starts quickly, and is slower than it could be; for what lives for minutes.
            properties: lines of server.properties, in place of the usual ones.
            listeners: more of them, by their protocol's name (``SASL_SSL``), with their ports.
        """
        self._temporary = folder is None
        self.folder = (folder or Path(tempfile.mkdtemp(prefix="apache-kafka-"))).absolute()
        self.port = 0  # none yet
        self._wanted_port = port
        self._node = node
        self._java = (f"-Xmx{heap}", *(QUICK if quick else ()))
        self.properties = dict(properties or {})  # from the next start on
        self._listeners = dict(listeners or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    @property
    def address(self) -> str:
        return f"{ports.LOOPBACK}:{self.port}"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the JVM, for signals and measurements."""
        if self._process is None:
            raise RuntimeError("this Apache Kafka isn't running")
        return self._process.pid

    def start(self) -> Self:
        """Starts it, and waits until it answers.

        Call it from the main thread: on Linux the kernel kills the server when the *thread* that
        started it ends, which is how it never outlives a test run that was itself killed.
        """
        if self.alive:
            raise RuntimeError(f"this Apache Kafka runs already, on {self.address}")
        java, libraries = find_java(), jars()
        for attempt in range(1, TRIES + 1):
            again = self.port != 0
            if not again:
                wanted, self._wanted_port = self._wanted_port, 0
                self.port = wanted if wanted and ports.is_free(wanted) else ports.find_free()
            try:
                self._launch(java, libraries)
                self.wait_until_ready()
                return self
            except PortTaken:
                if again or attempt == TRIES:  # clients know the old port
                    raise
                self.port = 0
        raise AssertionError("not reached")

    def launch(self, port: int) -> None:
        """Start it on this port and don't wait: a node of several isn't ready alone."""
        self.port = port
        self._launch(find_java(), jars())

    def stop(self) -> None:
        """SIGTERM: it writes everything down and says goodbye to its clients."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what it had not written down yet is in the system's cache only."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: as a machine that is gone without a word. Connections stay, no answer comes."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on, and finds out what it has missed."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """The end: a temporary folder is removed, with all that was in it."""
        if self._temporary:
            self.kill()  # nobody will read what it would write
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self.stop()

    def log_tail(self) -> str:
        """The last of what it said since the last start."""
        return self._said()[-LOG_TAIL_BYTES:].strip()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _said(self) -> str:
        # All of it: a node that looks for its peers says more than a tail before it is started.
        try:
            return self._log.read_bytes()[self._log_from :].decode(errors="replace")
        except FileNotFoundError:
            return ""

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    def _launch(self, java: str, libraries: Path) -> None:
        logs, config = self.folder / "logs", self.folder / "server.properties"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.properties").write_text(LOGGING)
        config.write_text(self._lines(logs))
        command = [
            java,
            *self._java,
            f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}",
            *("-cp", f"{libraries}/*"),
        ]
        if not (logs / "meta.properties").exists():
            _format(command, config, self._node)
        with self._log.open("ab") as out:
            self._log_from = out.tell()
            self._process = subprocess.Popen(
                [*command, "kafka.Kafka", str(config)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for the tests; they end it afterwards
                preexec_fn=die_with_parent,
            )

    def _lines(self, logs: Path) -> str:
        node = self._node
        if node is None:
            controller = ports.find_free()
            alone = f"{ports.LOOPBACK}:{controller}"
            place = {"node.id": "1", "controller.quorum.bootstrap.servers": alone}
        else:
            controller, place = node.controllers[node.id], node.properties()
        lines = {
            "process.roles": "broker,controller",
            **place,
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join(
                f"{name}://{ports.LOOPBACK}:{port}"
                for name, port in {
                    "PLAINTEXT": self.port,
                    "CONTROLLER": controller,
                    **self._listeners,
                }.items()
            ),
            "log.dirs": str(logs),
            # As a careful operator has it: a topic that nobody made is an error.
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            # After a kill it isn't let in before its former self has timed out: 9 s by default.
            "broker.session.timeout.ms": "4000",
            "broker.heartbeat.interval.ms": "500",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",  # 50 take a second to make
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "log.cleaner.dedupe.buffer.size": str(16 << 20),  # of the small heap; the default: 128
            **self.properties,
        }
        return "".join(f"{name}={value}\n" for name, value in lines.items())

    def wait_until_ready(self) -> None:
        """Until it says that it is started, and answers; one that doesn't is killed."""
        try:
            give_up_at = time.monotonic() + READY_WITHIN_S
            while time.monotonic() < give_up_at:
                if not self.alive:
                    raise self._failure("has ended at once")
                if READY_LINE in self._said() and self._answers():
                    return
                time.sleep(ASK_EVERY_S)
            raise self._failure(f"isn't ready after {READY_WITHIN_S:.0f} s")
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        try:
            probe.ask(ports.LOOPBACK, self.port, timeout_s=ANSWER_WITHIN_S)
        except OSError:
            return False
        return True

    def _failure(self, what: str) -> ApacheKafkaError:
        said = self.log_tail()
        if any(line in said for line in TAKEN_LINES):
            return PortTaken(f"{self.address}, or the controller's port, is taken")
        return ApacheKafkaError(
            f"Apache Kafka {what} (port {self.port}). It said:\n{said or '(nothing)'}\n{INSTEAD}"
        )

    def _end(self, signum: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signum)
        try:
            process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def find_java() -> str:
    """Maven's rule: JAVA_HOME, then the path."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is None:
        where = f"in JAVA_HOME={home}" if home else "on the path"
        raise ApacheKafkaError(
            f"Apache Kafka runs on Java 17 or newer, and there is no `java` {where}. On Debian and "
            f"Ubuntu: apt install openjdk-17-jre-headless. {INSTEAD}"
        )
    return found


def jars() -> Path:
    """The folder with the server's jars; Maven copies them there on the first use."""
    pom = POM.read_bytes()
    version = re.search(rb"<kafka\.version>([\w.]+)<", pom)
    assert version is not None, f"{POM} doesn't name Kafka's version"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jobs-on-kafka"
    # The hash: a pom that was changed wants other jars, whatever version it names.
    folder = cache / f"kafka-{version[1].decode()}-{hashlib.sha256(pom).hexdigest()[:8]}"
    if folder.exists():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise ApacheKafkaError(
            "Apache Kafka's jars are brought by Maven, and there is no `mvn` on the path. On "
            f"Debian and Ubuntu: apt install maven. {INSTEAD}"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kafka-", dir=cache) as made:
        _copy_jars(maven, Path(made) / "jars")
        try:
            (Path(made) / "jars").rename(folder)  # whole or not at all
        except OSError:
            if not folder.exists():  # else another process was quicker, with the same jars
                raise
    return folder


def _copy_jars(maven: str, folder: Path) -> None:
    ended = subprocess.run(
        [
            *(maven, "--batch-mode", "--quiet", "--file", str(POM)),
            *("dependency:copy-dependencies", "-DincludeScope=runtime"),
            f"-DoutputDirectory={folder}",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise ApacheKafkaError(
            f"Maven can't bring Apache Kafka's jars:\n{(ended.stdout + ended.stderr).strip()}\n"
            f"{INSTEAD}"
        )


def _format(java: list[str], config: Path, node: Node | None) -> None:
    """Gives the empty folder its cluster's id; a node alone is the only controller."""
    id = new_cluster_id() if node is None else node.cluster_id
    alone = ("--standalone",) if node is None else ()
    ended = subprocess.run(
        [
            *(*java, "kafka.tools.StorageTool", "format", *alone),
            # '=', as an id may begin with '-'.
            *(f"--cluster-id={id}", "--config", str(config)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise ApacheKafkaError(
            f"Apache Kafka can't format its folder:\n{(ended.stdout + ended.stderr).strip()}"
        )
