"""Lists of jobs that change while somebody goes from page to page: none twice, none left out."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from jobs.model import JobId, Status
from log.reader import Record
from tables.marks import Swept
from tests.web_unit.fakes import Log, Worker, record, row
from web import backwards, scan
from web.backwards import Backwards
from web.listing import Query, merge, merge_newest
from web.scan import Scanner

PARTITIONS = 4
FINAL = (Status.DONE, Status.FAILED, Status.CANCELED)


class Group:
    """Two workers and one log. What happens to jobs is told to ``seen``, by id: the states that a
    job has had since the list was begun; ``None`` when its row has gone."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.log = Log({n: [] for n in range(PARTITIONS)})
        self.log.most = chance.choice([2, 5, 1_000])
        self.workers = [Worker(self.log, {}, PARTITIONS) for _ in range(2)]
        whole = Worker(self.log, {n: {} for n in range(PARTITIONS)}, PARTITIONS)
        self.parts = whole.table.served
        self.places = dict.fromkeys(range(PARTITIONS), 0)
        self.time = 1_000
        self.seen: dict[JobId, set[Status | None]] = {}
        for n in range(PARTITIONS):
            self.give(n)
        for _ in range(chance.randrange(5, 60)):
            self.happens()

    def give(self, n: int) -> None:
        """A partition goes to a worker, maybe another one."""
        to = self.chance.choice(self.workers)
        for worker in self.workers:
            worker.table.served.pop(n, None)
            worker.places.pop(n, None)
        to.table.served[n] = self.parts[n]
        to.places[n] = self.places[n]

    def status(self, job_id: JobId) -> Status | None:
        """The job's state now."""
        n, offset = job_id
        job = self.parts[n].rows.get(offset)
        if job is not None:
            return job.status
        return Status.WAITING if offset >= self.places[n] else None

    def all(self) -> list[JobId]:
        return [JobId(n, r.offset) for n, log in self.log.partitions.items() for r in log]

    def begin(self) -> None:
        """A list is begun."""
        self.seen = {job_id: {self.status(job_id)} for job_id in self.all()}

    def happens(self) -> None:
        """Anything."""
        n = self.chance.randrange(PARTITIONS)
        log, part = self.log.partitions[n], self.parts[n]
        what = self.chance.choice(["new", "new", "admit", "admit", "move", "move", "sweep", "give"])
        if what == "new":
            self.time += self.chance.randrange(3)
            log.append(Record(len(log), self.time, None, b"{}", ()))
            self.note(JobId(n, len(log) - 1))
        elif what == "admit" and self.places[n] < len(log):
            offset = self.places[n]
            job = row(Status.WAITING, submitted_at=log[offset].timestamp)
            part.rows[offset] = job
            self.places[n] += 1
            for worker in self.workers:
                if n in worker.places:
                    worker.places[n] = self.places[n]
        elif part.rows:
            offset = self.chance.choice(list(part.rows))
            job = part.rows[offset]
            if what == "move" and not job.status.final:
                to = self.chance.choice([Status.EXECUTING, *FINAL])
                part.rows[offset] = row(to, submitted_at=job.submitted_at)
            elif what == "sweep" and job.status.final:
                mark = Swept(max(part.swept.next, offset + 1), max(part.swept.at, job.submitted_at))
                part.marks.put(mark)
                del part.rows[offset]
            self.note(JobId(n, offset))
        if what == "give":
            self.give(n)

    def note(self, job_id: JobId) -> None:
        self.seen.setdefault(job_id, set()).add(self.status(job_id))


async def walk(group: Group, newest: bool, limit: int, statuses: frozenset[Status]) -> list[Any]:
    """All pages, while things happen: between them, and within, at each read of the log."""
    found: list[Any] = []
    after: JobId | None = None
    before: Mapping[int, int] = {}
    group.begin()

    def busy() -> None:
        for _ in range(group.chance.randrange(3)):
            group.happens()

    group.log.at_read = busy
    for _ in range(2_000):
        query = Query(statuses=statuses, limit=limit, newest=newest, after=after, before=before)
        kind = Backwards if newest else Scanner
        pages = [await kind(w.parts, w.owners).page(query) for w in group.workers]
        shown = {n for page in pages for n in page.partitions}
        if len(shown) < PARTITIONS:
            continue  # one is named as missing, since it changed hands: the same page again
        if newest:
            jobs, cursor = merge_newest(pages, limit, before)
        else:
            jobs, cursor = merge(pages, limit)
        assert len(jobs) <= limit
        found += jobs
        if cursor is None:
            return found
        if newest:
            before = Query.parse({"order": "newest", "cursor": cursor}).before
        else:
            after = JobId.parse(cursor)
        busy()
        if group.chance.random() < 0.05:
            group.log.at_read = lambda: None  # else there may be new ones for ever
    raise AssertionError("it never ends")


@pytest.mark.parametrize("newest", [False, True])
def test_each_job_is_listed_once_whatever_happens(newest: bool, monkeypatch: Any) -> None:
    for seed in range(200):
        chance = random.Random(seed)
        monkeypatch.setattr(scan, "SCAN_COST", chance.choice([30, 100, 10_000]))
        monkeypatch.setattr(backwards, "SCAN_COST", chance.choice([60, 120, 10_000]))
        monkeypatch.setattr(backwards, "AT_ONCE", chance.choice([1, 3, 100]))
        statuses = frozenset(
            chance.choice([[], [], [Status.WAITING, Status.EXECUTING], [*FINAL], [Status.DONE]])
        )
        group = Group(chance)
        begun = set(group.all())
        jobs = asyncio.run(walk(group, newest, chance.randrange(1, 6), statuses))
        counts = Counter(JobId.parse(job.id) for job in jobs)
        assert not [job_id for job_id, count in counts.items() if count > 1], f"twice: seed {seed}"
        for job in jobs:
            had = group.seen[JobId.parse(job.id)]
            assert Status(job.status) in had, f"it was never so: {job}, seed {seed}"
        for job_id, had in group.seen.items():
            wanted = {state is not None and (not statuses or state in statuses) for state in had}
            if wanted == {True} and job_id in begun:
                assert job_id in counts, f"left out: {job_id}, seed {seed}"
            if wanted == {False}:
                assert job_id not in counts, f"not asked for: {job_id}, seed {seed}"


def test_at_rest_the_newest_come_first(monkeypatch: Any) -> None:
    for seed in range(100):
        chance = random.Random(seed)
        monkeypatch.setattr(backwards, "SCAN_COST", chance.choice([60, 120, 10_000]))
        group = Group(chance)
        group.happens = lambda: None  # type: ignore[method-assign]
        jobs = asyncio.run(walk(group, True, chance.randrange(1, 6), frozenset()))
        times = [job.submitted_at for job in jobs]
        assert times == sorted(times, reverse=True), f"seed {seed}"
        there = {job_id for job_id in group.all() if group.status(job_id) is not None}
        assert {JobId.parse(job.id) for job in jobs} == there, f"seed {seed}"


def test_when_kafka_is_away_rows_are_listed_and_the_rest_is_named() -> None:
    log = Log({0: [record(n) for n in range(5)]})
    worker = Worker(log, {0: {n: row(submitted_at=1_000 + n) for n in range(2)}})
    worker.places[0] = 2
    log.fails = TimeoutError()
    page = asyncio.run(Backwards(worker.parts, worker.owners).page(Query(newest=True)))
    assert [job.id for job in page.jobs] == ["0-1", "0-0"]
    assert page.missing[0].partitions == [0]


def test_rows_of_a_topic_that_was_made_again_are_listed_too() -> None:
    """They are kept, and stand beyond its end; nothing is read for them."""
    log = Log({0: [record(n) for n in range(3)]})
    rows = {offset: row(Status.DONE) for offset in range(0, 50_000, 1_000)}
    worker = Worker(log, {0: rows})
    worker.places[0] = 2
    reads = 0

    def counted() -> None:
        nonlocal reads
        reads += 1

    log.at_read = counted
    page = asyncio.run(Backwards(worker.parts, worker.owners).page(Query(newest=True)))
    assert [job.id for job in page.jobs] == [
        f"0-{n}" for n in [*sorted(rows, reverse=True)[:-1], 2, 0]
    ]
    assert reads < 5
