"""A worker's parts with a log in memory: real tables and owners, no Kafka."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from yarl import URL

from agents.submit import Submitter
from jobs.model import Job, JobId, Status
from log.reader import LogReader, Record, Slice
from log.topics import TopicNames
from log.writer import Entry, LogWriter
from tables.fold import Fence
from tables.partition import Partition
from web.owner import Owners
from web.parts import Parts
from worker.app import JobsApp

ME = "http://me:1"
NAMES = TopicNames.of("jobs", "app", "jobs")


def record(offset: int, value: bytes = b"{}") -> Record:
    return Record(offset, 1_000 + offset, None, value, ())


def row(status: Status = Status.DONE, handler: str = "echo", **fields: Any) -> Job:
    return Job(**{"status": status, "submitted_at": 1_000, "handler": handler, **fields})


class Log:
    """What the reader is asked for. ``at_read`` runs in the middle of each read."""

    def __init__(self, partitions: dict[int, list[Record]]) -> None:
        self.partitions = partitions
        self.changelog: dict[int, list[Record]] = {}
        self.dead: dict[int, list[Record]] = {}
        self.fails: Exception | None = None
        self.at_read: Callable[[], Awaitable[None] | None] = lambda: None
        self.most = 1_000_000  # records in one step

    async def fetch(
        self, topic: str, starts: Mapping[int, int], *, limit: int | None = None
    ) -> dict[int, Slice]:
        logs = self._of(topic)
        steps = {p: self._step(logs.get(p, []), start, limit) for p, start in starts.items()}
        waiting = self.at_read()
        if waiting is not None:
            await waiting
        if self.fails is not None:
            raise self.fails
        return steps

    async def starts(self, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        logs = self._of(topic)
        return {p: logs[p][0].offset if logs.get(p) else 0 for p in partitions}

    async def start(self, topic: str, partition: int) -> int:
        return (await self.starts(topic, [partition]))[partition]

    async def ends(self, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        steps = await self.fetch(topic, dict.fromkeys(partitions, 0), limit=1)
        return {p: step.end for p, step in steps.items()}

    async def end(self, topic: str, partition: int) -> int:
        return (await self.ends(topic, [partition]))[partition]

    async def read(self, topic: str, partition: int, start: int, stop: int) -> list[Record]:
        found: list[Record] = []
        while start < stop:
            step = (await self.fetch(topic, {partition: start}))[partition]
            found += [r for r in step.records if r.offset < stop]
            if step.next <= start:
                break
            start = step.next
        return found

    async def since(self, topic: str, partition: int, at_ms: int, near: int = 200) -> int:
        return await LogReader.since(self, topic, partition, at_ms, near)  # type: ignore[arg-type] # it asks nothing else

    def _of(self, topic: str) -> dict[int, list[Record]]:
        topics = {NAMES.jobs: self.partitions, NAMES.changelog: self.changelog}
        return (topics | {NAMES.dead: self.dead})[topic]

    def _step(self, log: list[Record], start: int, limit: int | None) -> Slice:
        end = log[-1].offset + 1 if log else 0
        some = [r for r in log if r.offset >= start][: min(limit or self.most, self.most)]
        more = some and some[-1].offset + 1 < end
        return Slice(some, some[-1].offset + 1 if more else max(start, end), end)


class Writer:
    """Appends to the log; ``fails`` is raised instead."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.fails: Exception | None = None

    async def write(
        self, topic: str, entries: list[Entry], timeout_s: float
    ) -> list[SimpleNamespace]:
        assert topic == NAMES.jobs
        if self.fails is not None:
            raise self.fails
        places = []
        for partition, key, value, headers in entries:
            assert key is None
            log = self.log.partitions.setdefault(partition, [])
            log.append(record(len(log), value or b"")._replace(headers=headers))
            places.append(SimpleNamespace(offset=len(log) - 1))
        return places


class Asked:
    """The cancels that were asked for; ``then`` is what comes of one."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.then: Callable[[], None] = lambda: None
        self.fails: Exception | None = None

    async def ask(self, job_id: JobId, who: str, why: str, timeout_s: float) -> None:
        if self.fails is not None:
            raise self.fails
        self.seen.append((str(job_id), who, why))
        self.then()


class Worker:
    """The parts that listing and lookup need."""

    def __init__(self, log: Log, served: Mapping[int, Mapping[int, Job]], count: int = 8) -> None:
        self.log = log
        self.table = SimpleNamespace(served={})
        self.places: dict[int, int] = {}
        self.stale = False
        self.metadata: dict[str, dict[str, list[int]]] = {ME: {NAMES.changelog: list(served)}}
        for n, rows in served.items():
            part = Partition(n, Fence(1, "me"))
            part.rows.update(rows)
            self.table.served[n] = part
            self.places[n] = 0
        self.writer = Writer(log)
        self.cancels = Asked()
        parts = SimpleNamespace(
            submitter=Submitter(cast(LogWriter, self.writer), NAMES.jobs, lambda: count),
            runner=SimpleNamespace(callers=SimpleNamespace(progress=lambda job_id: None)),
            cancels=self.cancels,
            table=self.table,
            jobs=SimpleNamespace(places=self.places),
            names=NAMES,
            reader=log,
            tail_reader=log,
            lifecycle=SimpleNamespace(partitions=count, draining=False),
            settings=SimpleNamespace(
                max_body_bytes=1_000, api_tokens=None, submit_rate=0, submit_burst=0
            ),
            tls=SimpleNamespace(peers=None),
        )
        self.parts = cast(Parts, parts)
        app = SimpleNamespace(
            conf=SimpleNamespace(canonical_url=URL(ME)),
            router=SimpleNamespace(tables_metadata=lambda: self.metadata),
            stale=lambda: self.stale,
            rebalancing=False,
        )
        self.app = cast(JobsApp, app)
        self.owners = Owners(self.app, self.parts)

    def admit(self, n: int, offset: int, job: Job) -> None:
        """Intake read a record: its row is visible, then the place moves."""
        self.table.served[n].rows[offset] = job
        self.places[n] = offset + 1


def decoded(body: bytes | bytearray | None) -> Any:
    return msgspec.json.decode(body or b"")
