"""Real workers as processes, and an observer that shares no code with them.

The observer reads topics with confluent-kafka and folds changelogs by the rules in the docs,
so that a mistake in the product can't hide itself in the test.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

ROOT = Path(__file__).parent.parent
FINAL = {"done", "failed", "canceled"}


def free_port() -> int:
    """A port that nobody listens on. None of those that a system gives to outgoing connections:
    one of them could have it while a worker is started again."""
    while True:
        port = random.randrange(10_000, 32_768)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def until(check: Callable[[], Any], within_s: float, what: str) -> Any:
    """Ask again and again until the answer is true; it is returned.

    A deadline, not a delay: it passes as soon as it can.
    """
    deadline = time.monotonic() + within_s
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within_s:g}s still not: {what}")
        time.sleep(0.05)


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def http(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout_s: float = 15.0,
) -> Answer:
    """One request; an error status is an answer, too."""
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as got:
            return Answer(got.status, {k.lower(): v for k, v in got.headers.items()}, got.read())
    except urllib.error.HTTPError as exc:
        return Answer(exc.code, {k.lower(): v for k, v in exc.headers.items()}, exc.read())


class Seen(NamedTuple):
    """A record as the observer read it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


def seen(message: Message) -> Seen:
    """The client's message with the types that it has once it is read."""
    headers = {k: v for k, v in dict(message.headers() or []).items() if isinstance(v, bytes)}
    partition, offset = message.partition(), message.offset()
    key, value = message.key(), message.value()
    assert partition is not None
    assert offset is not None
    assert not isinstance(key, str)
    assert not isinstance(value, str)
    return Seen(partition, offset, key, value, headers)


@dataclass
class Cluster:
    """One app's names on a broker: topics and group of its own, so tests can run together."""

    kafka: str
    folder: Path
    partitions: int = 4
    app_id: str = field(default_factory=lambda: f"t{secrets.token_hex(4)}")
    workers: list[WorkerProcess] = field(default_factory=list)

    @property
    def jobs(self) -> str:
        return f"{self.app_id}.jobs"

    @property
    def changelog(self) -> str:
        return f"{self.app_id}-jobs-changelog"

    def environ(self, **more: str) -> dict[str, str]:
        """The settings of a worker of this app."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("JOBS_")}
        return {
            **clean,
            "KAFKA": self.kafka,
            "JOBS_APP_ID": self.app_id,
            "JOBS_TOPIC": self.jobs,
            "JOBS_PARTITIONS": str(self.partitions),
            "JOBS_BACKOFF": "0",
            "PYTHONUNBUFFERED": "1",
            **self._store(),
            **more,
        }

    def _store(self) -> dict[str, str]:
        """TEST_STORE=rocksdb runs any test with a store on disk."""
        store = os.environ.get("TEST_STORE")
        if not store:
            return {}
        return {"JOBS_STORE": store, "JOBS_STORE_DIR": str(self.folder / "state")}

    def next_port(self) -> int:
        """A free port; with a store that of a worker that has ended, so that its copy is found."""
        taken = {each.port for each in self.workers if each.process.poll() is None}
        ended = [each.port for each in self.workers if each.port not in taken]
        return ended[-1] if ended and self._store() else free_port()

    def worker(
        self, *, ready: bool = True, kind: type[WorkerProcess] | None = None, **settings: str
    ) -> WorkerProcess:
        """Start a worker; wait until it is ready unless told not to."""
        started = (kind or WorkerProcess)(self, settings)
        self.workers.append(started)
        if ready:
            started.wait_ready()
        return started

    def close(self) -> None:
        """Kill what still runs."""
        for each in self.workers:
            each.kill()

    def produce(
        self,
        values: Sequence[bytes | None],
        *,
        topic: str | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        headers: dict[str, bytes] | None = None,
    ) -> list[str]:
        """Write records straight to a topic, as another program would; ids by delivery report."""
        ids: list[str | None] = [None] * len(values)
        producer = Producer({"bootstrap.servers": self.kafka, "linger.ms": 5})

        def reported(i: int) -> Callable[[Any, Message], None]:
            def report(error: Any, message: Message) -> None:
                if error is None:
                    ids[i] = f"{message.partition()}-{message.offset()}"

            return report

        for i, value in enumerate(values):
            p = i % self.partitions if partition is None else partition
            producer.produce(
                topic or self.jobs,
                value,
                key,
                p,
                headers=list((headers or {}).items()),
                on_delivery=reported(i),
            )
        producer.flush(60)
        assert all(ids), "the broker has not taken all records"
        return [str(id) for id in ids]

    def records(self, topic: str) -> list[Seen]:
        """All records of a topic, by partition and offset."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka,
                "group.id": f"observer-{secrets.token_hex(4)}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
            }
        )
        try:
            consumer.assign(
                [TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(self.partitions)]
            )
            found: list[Seen] = []
            at_end: set[int] = set()
            deadline = time.monotonic() + 60
            while len(at_end) < self.partitions:
                assert time.monotonic() < deadline, f"{topic} can't be read to its end"
                message = consumer.poll(1.0)
                if message is None:
                    continue
                error = message.error()
                partition = message.partition()
                assert partition is not None
                if error is None:
                    found.append(seen(message))
                    at_end.discard(partition)
                elif error.name() == "_PARTITION_EOF":
                    at_end.add(partition)
            return sorted(found, key=lambda record: record[:2])
        finally:
            consumer.close()

    def history(self) -> dict[str, list[dict[str, Any]]]:
        """Each job's valid rows in the order of the changelog.

        The rule, read anew from the docs: a record counts if its fence is the partition's
        current one, or a higher one (by number, then by instance); then that is the current one.
        """
        fences: dict[int, tuple[int, str]] = {}
        rows: dict[str, list[dict[str, Any]]] = {}
        for record in self.records(self.changelog):
            number, _, instance = record.headers["fence"].decode().partition(" ")
            fence = (int(number), instance)
            current = fences.get(record.partition, (0, ""))
            if fence < current:
                continue
            fences[record.partition] = fence
            key = (record.key or b"").decode()
            if re.fullmatch(r"\d+-\d+", key):
                row = json.loads(record.value) if record.value else {"status": "gone"}
                rows.setdefault(key, []).append(row)
        return rows

    def states(self) -> dict[str, dict[str, Any]]:
        """Each job's last row."""
        return {id: rows[-1] for id, rows in self.history().items()}

    def all_final(self, ids: list[str], within_s: float = 60) -> dict[str, dict[str, Any]]:
        """Wait until all these jobs are final in the changelog; their last rows."""

        def look() -> dict[str, dict[str, Any]] | None:
            states = self.states()
            return states if all(states.get(i, {}).get("status") in FINAL for i in ids) else None

        try:
            return dict(until(look, within_s, "all jobs final"))
        except AssertionError:
            states = self.states()
            left = {i: states.get(i) for i in ids if states.get(i, {}).get("status") not in FINAL}
            some = dict(list(left.items())[:5])
            raise AssertionError(f"{len(left)} of {len(ids)} jobs not final: {some}") from None


class WorkerProcess:
    """A worker, as ``python app.py`` starts it."""

    command: tuple[str, ...] = (sys.executable, "app.py")
    before_it: Callable[[], None] | None = None  # called in the new process, before the command

    def __init__(self, cluster: Cluster, settings: dict[str, str]) -> None:
        self.settings = settings
        self.port = int(settings.pop("JOBS_PORT", 0)) or cluster.next_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = cluster.folder / f"worker-{len(cluster.workers)}-{self.port}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=cluster.environ(JOBS_PORT=str(self.port), **settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=self.before_it,
            )

    def wait_ready(self, within_s: float = 60) -> None:
        """Wait for ``/readyz``."""

        def ready() -> bool:
            assert self.process.poll() is None, f"the worker has ended:\n{self.tail()}"
            with contextlib.suppress(OSError):
                return self.get("/readyz").status == 200
            return False

        try:
            until(ready, within_s, "worker ready")
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.tail()}") from None

    def answers(self) -> bool:
        """Whether its HTTP server is up; it is, before any partition is its own."""
        with contextlib.suppress(OSError):
            return self.get("/healthz").status == 200
        return False

    def get(self, path: str, **kwargs: Any) -> Answer:
        """GET a path of this worker."""
        return http("GET", self.url + path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> Answer:
        """POST to a path; a body that isn't bytes goes as JSON."""
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        return http("POST", self.url + path, data, **kwargs)

    def submit(self, **request: Any) -> str:
        """POST a job; its id."""
        answer = self.post("/job", request)
        assert answer.status == 202, (answer.status, answer.body)
        return str(answer.json["id"])

    def status(self, id: str) -> Any:
        """The status document of a job."""
        answer = self.get(f"/job/{id}/status")
        assert answer.status == 200, (id, answer.status, answer.body)
        return answer.json

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def terminate(self, within_s: float = 60) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(within_s)

    def kill(self) -> None:
        """SIGKILL, at once."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def tail(self, lines: int = 40) -> str:
        """The end of its log, for messages."""
        return "\n".join(self.text().splitlines()[-lines:])

    def text(self) -> str:
        """Its whole log."""
        return self.log.read_text(errors="replace")


class Held(WorkerProcess):
    """A worker that has seen Kafka and is not in the group yet; it goes on when the file that
    GATE names is there, and makes the one that AT_THE_GATE names."""

    command = (sys.executable, "-m", "faust", "-A", "tests.apps.held", "worker", "-l", "info")
