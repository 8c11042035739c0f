"""Workers, Kafka and time, and what must hold between them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

from aiokafka.errors import KafkaError

import execution.timers
import tables.jobs
from jobs.codec import encode_row
from jobs.labels import KEY_HEADER
from jobs.model import JobId
from log.writer import NotWritten
from tables.fold import Fold
from tables.partition import Partition, PartitionLost
from tests.model.kafka import Batch, Copy, Kafka, P
from tests.model.loop import Clock
from tests.model.rules import Row, Rules, final
from tests.model.worker import CANCEL, CHANGELOG, JOBS, Worker


@contextmanager
def clock_of(clock: Clock) -> Iterator[None]:
    """Rows are stamped, and timers ring, by the history's time."""
    time = SimpleNamespace(time_ns=clock.time_ns)
    with (
        mock.patch.object(tables.jobs, "time", time),
        mock.patch.object(execution.timers, "time", time),
    ):
        yield


class World:
    """A history. One partition, a few workers, one of which the group has chosen."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.kafka = Kafka(self.clock)
        self.rules = Rules()
        self.kafka.topic(CHANGELOG).on_append = self.rules.take
        self.workers: list[Worker] = []
        self.shown: dict[int, tuple[tuple[int, str], Row]] = {}  # finals, and the owner's fence
        self.submitted = 0
        self.broken: list[str] = []  # what tasks of the workers saw that must not be
        self.answers: defaultdict[str, list[int]] = defaultdict(list)  # key → offsets, as told
        self._born = 0
        self._generation = 0
        self._joined = -1
        self._owner: Worker | None = None
        for _ in range(2):
            self.start()

    # What can happen

    def start(self) -> Worker:
        """A process starts."""
        worker = Worker(self.kafka, f"w{self._born}", self._begun)
        self._born += 1
        worker.consumer.member = lambda: self._is_member(worker)
        self.workers.append(worker)
        return worker

    def assign(self, worker: Worker) -> None:
        """The group gives the partition to this worker, which is told at once."""
        self._generation += 1
        self._owner = worker
        self.rules.deaths += 1  # at most: its last owner may let go in time
        self.tell(worker)

    def tell(self, worker: Worker) -> None:
        """A worker learns of the group's last rebalance."""
        if worker.generation != self._generation:
            number = self._generation
            worker.rebalance(number, worker is self._owner, lambda: self._join(worker, number))

    def kill(self, worker: Worker) -> None:
        """``kill -9``; another process starts."""
        worker.kill()
        self.workers.remove(worker)
        self.start()

    def submit(self, value: bytes, key: str | None = None) -> None:
        """Somebody puts a record on ``jobs``, maybe with an idempotency key."""
        headers = () if key is None else ((KEY_HEADER, key.encode()),)
        self.kafka.topic(JOBS).append([(None, value, headers)])
        self.submitted += 1

    def post(self, worker: Worker, value: bytes, key: str) -> None:
        """Somebody asks a worker that believes to be the owner for the job of a key."""
        if worker.part is not None:
            worker.loop.spawn(self._post(worker, worker.part, value, key))

    async def _post(self, worker: Worker, part: Partition, value: bytes, key: str) -> None:
        try:
            job_id, _ = await worker.keys.submit(part, value, key)
        except (NotWritten, PartitionLost, KafkaError, TimeoutError):
            return
        self.answers[key].append(job_id.offset)
        living = set(self.answers[key]) - self.rules.swept
        if len(living) > 1:
            # Raised here, it would be told when the task's memory is freed, so at any later step.
            self.broken.append(f"key {key}: these are told to be its job: {living}")

    def cancel(self, offset: int) -> None:
        """Somebody asks for a job to be canceled, or for one that isn't there yet."""
        value = json.dumps({"id": f"{P}-{offset}", "who": "me"}).encode()
        self.kafka.topic(CANCEL).append([(None, value, ())])

    def compact(self, boundary: int) -> None:
        """Kafka compacts the changelog up to a place. Before a record is old enough for that,
        void ones near it have long been answered; the answers may be behind that place."""
        if not self.rules.void:
            self.kafka.topic(CHANGELOG).compact(boundary)
            self.check_fold()

    def step(self, worker: Worker) -> bool:
        """One step of a worker, then a look at what it shows."""
        more = worker.step()
        self.look_at(worker)
        if worker.drained and worker in self.workers:
            self.kill(worker)
            return False
        return more

    # What must hold

    def look_at(self, worker: Worker) -> None:
        """What a worker shows was durable, and is final for ever once it is."""
        assert not worker.loop.errors, worker.loop.errors
        assert not self.broken, self.broken
        if worker.part is None or not worker.part.alive:
            return
        for offset, job in worker.part.rows.items():
            row = json.loads(encode_row(job))
            assert row in self.rules.ever[offset], f"shown, and never counted: {row}"
            fence = (worker.part.fence.number, worker.part.fence.instance)
            since, told = self.shown.get(offset, (fence, row))
            # An owner of before that doesn't know it yet may show what was. Of two that took the
            # partition over at once, with one number, the instance says who is the one before.
            assert row == told or fence < since, f"was final: {told}, is {row}"
            if final(row) and offset not in self.shown:
                standing = self.rules.rows.get(offset)
                assert standing == row or offset in self.rules.swept, (
                    f"shown as final, though what stands is {standing}: {row}"
                )
                self.shown[offset] = (fence, row)

    def check_fold(self) -> None:
        """What is left of the log says the same as all that was ever in it."""
        fold = Fold(P)
        for record in self.kafka.topic(CHANGELOG).records:
            fold.apply(record)
        assert tuple(fold.fence) == self.rules.fence
        assert {n: json.loads(row) for n, row in fold.rows.items()} == self.rules.rows
        assert fold.released == self.rules.released
        mark = self.rules.mark or {}
        assert (fold.swept.next, fold.swept.at) == (mark.get("next", 0), mark.get("at", 0))

    def check_places(self) -> None:
        """All jobs before the committed place have a row, or had one."""
        for offset in range(self.kafka.committed.get(JOBS, 0)):
            assert offset in self.rules.rows or offset in self.rules.swept, f"lost: {offset}"

    def _begun(self, worker: Worker, job_id: JobId, attempt: int) -> None:
        try:
            self._check_begun(worker, job_id, attempt)
        except AssertionError as exc:  # raised here it would be a handler's failure
            self.broken.append(str(exc))

    def _check_begun(self, worker: Worker, job_id: JobId, attempt: int) -> None:
        part = worker.part
        row = part.head(job_id.offset) if part is not None else None
        if part is not None and tuple(part.fence) == self.rules.fence and row is not None:
            standing = self.rules.rows[job_id.offset]
            assert standing["status"] == "executing", f"runs, though it is {standing}"
            assert standing["attempt"] == attempt, f"runs attempt {attempt}: {standing}"
            self._check_key(job_id.offset, standing)

    def _check_key(self, offset: int, row: Row) -> None:
        """Of the jobs with one key, one runs, as long as there is a row of it."""
        for other, rows in self.rules.ever.items():
            ran = any(each["status"] == "executing" for each in rows)
            if ran and other != offset and other not in self.rules.swept and "key" in row:
                assert rows[-1].get("key") != row["key"], f"{other} and {offset}: {row['key']}"

    # The group

    def _join(self, worker: Worker, generation: int) -> None:
        if worker is self._owner and generation == self._generation:
            self._joined = generation

    def _is_member(self, worker: Worker) -> bool:
        if self._joined == self._generation:
            return worker is self._owner and worker.generation == self._generation
        return worker.generation >= self._generation - 1

    # The end

    def settle(self) -> None:
        """All disturbances end: with one owner, every job comes to its end. Copies still on
        their way land before the last change of owners, when much has been written since."""
        self._land_all(Batch)
        for worker in list(self.workers):
            if worker.draining:
                self.kill(worker)
        for worker in self.workers:
            self.tell(worker)
        self.run_all()
        self._handlers_end()
        self.run_all()
        self._land_all(Copy)
        self.assign(self.workers[0])
        for _ in range(12):
            self.run_all()
            self._handlers_end()
            for worker in list(self.workers):
                worker.loop.spawn(worker.look())
            self.clock.now_s += 15
        self.run_all()
        self.check_fold()
        self.check_places()
        assert not self.rules.unanswered, f"void, and not answered: {self.rules.unanswered}"
        for offset in range(self.kafka.topic(JOBS).end):
            row = self.rules.rows.get(offset)
            assert final(row) or offset in self.rules.swept, f"job {offset} is stuck: {row}"

    def _handlers_end(self) -> None:
        for worker in self.workers:
            for future in list(worker.running.values()):
                if not future.done():
                    future.set_result("ok")

    def _land_all(self, kind: type[Batch | Copy]) -> None:
        landing = [ghost for ghost in self.kafka.ghosts if isinstance(ghost, kind)]
        self.kafka.ghosts = [ghost for ghost in self.kafka.ghosts if ghost not in landing]
        for ghost in landing:
            ghost.land()

    def run_all(self) -> None:
        """Let all workers run until they have nothing to do."""
        for _ in range(10):
            moved = False
            for worker in list(self.workers):
                for _ in range(1_500):
                    if worker.loop.dead or not self.step(worker):
                        break
                    moved = True
            if not moved:
                return
        busy = {worker.name: worker.loop.tasks() for worker in self.workers}
        raise AssertionError(f"the workers don't come to rest: {busy}")


def step_until(world: World, worker: Worker, come: Callable[[], object]) -> None:
    """Let a worker go on until it has come to something."""
    while not come():
        assert world.step(worker), "it never comes to that"
