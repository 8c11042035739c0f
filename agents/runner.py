"""A job's life from its first row to its last: waiting → executing → an outcome → the next row.

Every step is: compute the row by ``jobs.state``, write it durably, go on. Transitions start
from the newest row (``Partition.head``), so a late outcome can't bring back a canceled job.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka.errors import KafkaError

from agents import tracing
from agents.callers import Callers
from agents.dead import DeadLetters
from agents.outcomes import Outcomes
from execution.clocks import Clocks
from execution.executor import Attempt, Canceled, Interrupted, Outcome, Stop
from execution.pool import Pool
from execution.timers import DueTimer
from execution.turns import Turns
from jobs import state
from jobs.durations import NS_PER_S
from jobs.histogram import Histogram
from jobs.model import Job, JobId, Status
from jobs.registry import Kind
from jobs.retry import RetryPolicy
from log.writer import NotWritten
from settings import Settings
from tables.jobs import Change, JobTable, now_ms
from tables.partition import Partition, PartitionLost

if TYPE_CHECKING:
    from execution.tracing import Tracing

logger = logging.getLogger(__name__)

# Bounds of the histogram of attempts, in seconds.
ATTEMPT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
RETRY_MS = 1_000  # before what Kafka refused is tried again
SLOT_WAIT_S = 0.05  # before it is looked again whether the pace is brisk still
AHEAD = 200  # so many jobs, at most, write that they execute before they have a slot
_STOP_S = 5.0  # for handlers to end after they were interrupted in a drain


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker allows. ``timeout_s`` is the ceiling over every attempt, if any."""

    workers: int
    rerun_workers: int
    max_open: int
    default_timeout_s: float
    timeout_s: float | None
    max_result_bytes: int
    retry: RetryPolicy

    @classmethod
    def of(cls, s: Settings) -> Limits:
        """As the settings say."""
        return cls(
            s.workers,
            s.rerun_workers,
            s.max_open,
            s.default_timeout_s,
            s.timeout_s,
            s.max_result_bytes,
            RetryPolicy(s.backoff_s, s.backoff_max_s),
        )

    def attempt_s(self, job: Job) -> float:
        """How long an attempt of a job may take."""
        own_ns = job.timeout_ns
        asked_s = self.default_timeout_s if own_ns is None else own_ns / NS_PER_S
        return asked_s if self.timeout_s is None else min(asked_s, self.timeout_s)


class Runner:
    """Runs the jobs of the partitions that this worker owns."""

    def __init__(
        self,
        table: JobTable,
        callers: Callers,
        dead: DeadLetters,
        limits: Limits,
        worker: str,
        send_rerun: Callable[[JobId, int], Coroutine[Any, Any, None]],
    ) -> None:
        self._table = table
        self.callers = callers
        self._registry = callers.registry
        self._outcomes = Outcomes(limits.retry, limits.max_result_bytes)
        self.dead = dead
        self._limits = limits
        self.worker = worker
        self._send_rerun = send_rerun
        self._pool: Pool[JobId] = Pool(
            limits.workers, limits.rerun_workers, self._work, callers.limits, AHEAD
        )
        self._timer: DueTimer[JobId] = DueTimer(self._due)
        self._attempts: dict[JobId, Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: dict[JobId, tuple[Partition, Job, Attempt]] = {}  # their slots are taken
        self._settling = 0  # outcomes on their way into the log
        self._reserved = 0
        self._reserving = 0  # who waits for room
        self._room = asyncio.Event()
        self._clocks = Clocks()
        self._slots = Turns()
        self._pool.on_free = self._slots.free
        self.tracing: Tracing | None = None
        self.took: dict[str, Histogram] = {}  # attempts' durations, by handler
        self._draining = False

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # asked for each job, it would take its time

    @property
    def open(self) -> int:
        """Jobs that are ready, running, or about to be: what ``max_open`` limits. Those that
        wait for their time don't count; a thousand jobs for tomorrow block nobody today."""
        return len(self._pool) + len(self._tasks) + self._settling + self._reserved

    @property
    def max_open(self) -> int:
        """The most that may be ``open``."""
        return self._limits.max_open

    @property
    def executing(self) -> int:
        """Attempts that run now."""
        return len(self._pool.first.running) + len(self._pool.reruns.running)

    @property
    def slots(self) -> dict[str, tuple[int, int]]:
        """Slots that are taken, and all of them: for first attempts and for reruns."""
        lanes = {"first": self._pool.first, "rerun": self._pool.reruns}
        return {name: (len(lane.running), lane.slots) for name, lane in lanes.items()}

    async def reserve(self, wanted: int) -> int:
        """Wait for room, then keep some of it: at least 1 job's, at most ``wanted``.

        While jobs are started at a brisk pace, it waits for free slots, too, and keeps as much as
        there are: jobs that begin at once need no row that says that they wait.
        """
        while True:
            while self._limits.max_open <= self.open or self._draining:
                self._reserving += 1
                self._room.clear()
                try:
                    await self._room.wait()
                finally:
                    self._reserving -= 1
            room, free = min(wanted, self._limits.max_open - self.open), self._pool.first.free
            if free > 0 or not self._pool.brisk():
                break
            await self._slots.wait(SLOT_WAIT_S)
        room = min(room, free) if free > 0 else room
        self._reserved += room
        return room

    def unreserve(self, count: int) -> None:
        """Give reserved room back."""
        self._reserved -= count
        self._room.set()

    def start(self, part: Partition, offset: int, job: Job) -> Job | None:
        """Let a job that has no row yet begin at once, if nothing stands before it: the row to
        write as its first one. It has its slot from now on; ``go`` says what became of the row."""
        if job.status is not Status.WAITING or job.next_attempt_at is not None or self._draining:
            return None
        job_id = JobId(part.number, offset)
        if not self._pool.claim(job_id, self.callers.group(job)):
            return None
        row = state.start(job, now=now_ms(), worker=self.worker)
        attempt = self._attempt(job_id, row.attempt)
        self._begun[job_id] = (part, row, attempt)
        return row

    def go(self, part: Partition, offset: int) -> None:
        """The row of a job that ``start`` has let begin is durable, or won't be."""
        job_id = JobId(part.number, offset)
        _, row, attempt = self._begun[job_id]
        if part.alive and part.head(offset) is row:
            self._pool.run(job_id)
        else:
            del self._begun[job_id]
            self._forget(job_id, attempt)
            self._pool.give_back(job_id)
            self._freed(part, job_id)

    def _freed(self, part: Partition, job_id: JobId) -> None:
        """A job has left its slot, or is about to."""
        if self._reserving or self._draining:
            self._room.set()
        if self._table.served.get(job_id.partition) is not part:
            # Lost and taken back while the slot was taken: its job may have been passed over.
            self._loop.call_soon(self._look_again, part, job_id)

    def take_up(self, part: Partition, offset: int, *, back: bool = False) -> None:
        """Let a waiting job run when its time has come; other jobs are left alone. ``back``: it
        has begun and got no slot, so it is the next one."""
        job = part.head(offset)
        if job is None or job.status is not Status.WAITING or self._draining or not part.alive:
            return
        job_id = JobId(part.number, offset)
        if job.next_attempt_at is not None and job.next_attempt_at > now_ms():
            self._timer.set(job_id, job.next_attempt_at)
        else:
            self._due(job_id, back=back)

    def rerun(self, job_id: JobId, attempt: int) -> None:
        """A rerun was asked for on the topic. Skipped when it is not the job's next attempt, or
        its time hasn't come (an older record; the timer will send another)."""
        job = self._waiting(job_id)
        if job is not None and job.next_attempt == attempt and job_id not in self._timer:
            self._pool.add(job_id, rerun=True, group=self.callers.group(job))

    async def cancel(self, part: Partition, offset: int, who: str, why: str) -> None:
        """Stop an admitted job for good, and wait until that is recorded. A final state stays.

        kill -9 before it is recorded: the cancel's place isn't committed, so the next owner
        reads it again.

        Raises:
            PartitionLost: the partition is no longer ours.
        """
        job_id = JobId(part.number, offset)
        while True:
            attempt = self._attempts.get(job_id)
            if attempt is not None:
                self._stop(job_id, attempt, Canceled(who, why))
                # Its outcome may have been on its way already; if that is a rerun, the rerun is
                # canceled in the next round.
                await attempt.settled()
            part.check()
            job = part.head(offset)
            if attempt is not None and job is not None and job.status is Status.EXECUTING:
                continue
            if job is None or job.status is not Status.WAITING:
                # It may be on its way still; if it doesn't get there, the cancel is read again.
                await part.landed(offset)
                return
            self._pool.discard(job_id)
            self._timer.discard(job_id)
            row = state.canceled(job, now=now_ms(), who=who, why=why)
            await self._table.write(part, [Change(offset, job, row)])
            self._room.set()
            if part.head(offset) is row:
                return
            # It has moved on before our row was sent: look again.

    def let_go(self, part: Partition) -> None:
        """A partition is no longer ours: interrupt its attempts, forget its other jobs."""
        for job_id, attempt in list(self._attempts.items()):
            if job_id.partition == part.number:
                self._stop(job_id, attempt, Interrupted())
        for job_id in self._pool.waiting() + self._timer.waiting():
            if job_id.partition == part.number:
                self._pool.discard(job_id)
                self._timer.discard(job_id)
        self._room.set()

    async def drain(self, grace_s: float) -> None:
        """Start nothing more, let what runs finish for ``grace_s``, then interrupt the rest."""
        self._draining = True
        self._pool.stop()
        self._timer.stop()
        if self.executing:
            text = "draining: %d attempts have %gs to finish; another signal interrupts them now"
            logger.info(text, self.executing, grace_s)
        await self._settled(grace_s)
        self.hurry()
        if self.executing:
            logger.info("draining: %d attempts are interrupted", self.executing)
        await self._settled(_STOP_S)

    def hurry(self) -> None:
        """Interrupt what runs, now."""
        for job_id, attempt in list(self._attempts.items()):
            self._stop(job_id, attempt, Interrupted())

    def _stop(self, job_id: JobId, attempt: Attempt, how: Stop) -> None:
        attempt.stop(how)
        self._pool.skip(job_id)

    async def _settled(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    await self._pool.idle()
                    if not (self._tasks or self._settling or self._begun):
                        return
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            pass

    def _waiting(self, job_id: JobId) -> Job | None:
        part = self._table.served.get(job_id.partition)
        job = part.head(job_id.offset) if part is not None and part.alive else None
        return job if job is not None and job.status is Status.WAITING else None

    def _due(self, job_id: JobId, *, back: bool = False) -> None:
        job = self._waiting(job_id)
        if job is None:
            return
        if job.attempt == 0:
            self._pool.add(job_id, rerun=False, group=self.callers.group(job), back=back)
        else:
            self._spawn(self._ask_for_rerun(job_id, job.next_attempt))

    async def _ask_for_rerun(self, job_id: JobId, attempt: int) -> None:
        # kill -9 before or after: the row is waiting and due; the next owner asks once more,
        # and the older record is skipped when the attempt has begun.
        try:
            await self._send_rerun(job_id, attempt)
        except NotWritten as exc:
            logger.warning("job %s: its rerun waits for Kafka: %s", job_id, exc)
            self._timer.set(job_id, now_ms() + RETRY_MS)

    async def _work(self, job_id: JobId) -> None:
        part, job, attempt = self._begun.pop(job_id, (None, None, None))
        begins = attempt is None
        if part is None or job is None or attempt is None:
            part, job = self._table.served.get(job_id.partition), self._waiting(job_id)
            if part is None or job is None:
                return
            attempt = self._attempt(job_id, job.next_attempt)
        try:
            row = await self._begin(part, job_id, job) if begins else job
            if row is None:
                self._forget(job_id, attempt)
                return
            if not (self._pool.take(job_id) or await self._pool.slot(job_id)):
                attempt.stop(Interrupted())  # unless it has been stopped: those before it are long
            outcome = await self._execute(job_id, row, attempt)
            self._settle(part, job_id, row, outcome, attempt)
            await attempt.over()
        except PartitionLost:
            self._forget(job_id, attempt)
        except BaseException:
            self._forget(job_id, attempt)  # who waits for it to be settled must not wait for ever
            raise
        finally:
            self._freed(part, job_id)

    def _attempt(self, job_id: JobId, number: int) -> Attempt:
        name = f"job {job_id.partition}-{job_id.offset} attempt {number}"
        attempt = self._attempts[job_id] = Attempt(name, self._clocks)
        return attempt

    def _forget(self, job_id: JobId, attempt: Attempt) -> None:
        attempt.settle()
        if self._attempts.get(job_id) is attempt:  # not a later one, of a partition taken back
            del self._attempts[job_id]
            self.callers.ended(job_id)

    def _look_again(self, part: Partition, job_id: JobId) -> None:
        self._room.set()
        current = self._table.served.get(job_id.partition)
        if current is not None and current is not part:
            self.take_up(current, job_id.offset)

    async def _begin(self, part: Partition, job_id: JobId, job: Job) -> Job | None:
        """Write the row of an attempt that begins; ``None`` if there is no such handler."""
        if self._registry.get(job.handler) is None:
            error = f"no handler is named {job.handler!r} (known: {self._registry.names()})"
            row = state.refused(job, now=now_ms(), error=error)
            await self._finish(part, job_id, job, row)
            return None
        row = state.start(job, now=now_ms(), worker=self.worker)
        # kill -9 before this is durable: waiting, started by the next owner.
        await self._table.write(part, [Change(job_id.offset, job, row)])
        if part.head(job_id.offset) is not row:
            return None  # canceled meanwhile
        # kill -9 from here on: executing; the next owner counts a crash and starts it again.
        return row

    async def _execute(self, job_id: JobId, row: Job, attempt: Attempt) -> Outcome:
        handler = self._registry.get(row.handler)
        assert handler is not None  # looked up in _begin, and handlers don't leave
        timeout_s = self._limits.attempt_s(row)
        call = partial(self.callers.call, handler, job_id, row, timeout_s, attempt.start_clock)
        at_once = handler.kind is not Kind.PROCESS  # its clock is for its own work
        loop = self._loop
        began = loop.time()
        try:
            if self.tracing is None and row.traceparent is None:  # as nearly always
                return await attempt.run(call, timeout_s, at_once=at_once)
            with tracing.attempt(self.tracing, job_id, row) as ended:
                outcome = await attempt.run(call, timeout_s, at_once=at_once)
                ended(outcome)
                return outcome
        finally:
            self._took(handler.name).observe(loop.time() - began)

    def _took(self, handler: str) -> Histogram:
        found = self.took.get(handler)
        if found is None:
            found = self.took[handler] = Histogram(ATTEMPT_S)
        return found

    def _settle(
        self, part: Partition, job_id: JobId, row: Job, outcome: Outcome, attempt: Attempt
    ) -> None:
        """Write what an attempt came to. What needs nothing before it is sent at once."""
        handler = self._registry.get(row.handler)
        after, value = self._outcomes.kept(row, handler, outcome, now_ms())
        change = Change(job_id.offset, row, after, None, value)
        if (
            after.status.final
            and after.status is not Status.FAILED  # its dead letter goes before it
            and self._table.put(part, [change], partial(self._recorded, job_id, attempt))
        ):
            self._settling += 1
            return
        back = isinstance(outcome, Interrupted)
        self._spawn(self._settle_by_steps(part, job_id, change, attempt, back=back))

    def _recorded(self, job_id: JobId, attempt: Attempt) -> None:
        # kill -9 and a lost lease leave the same: executing, and the next owner goes on.
        self._settling -= 1
        self._forget(job_id, attempt)
        if self._reserving or self._draining:
            self._room.set()

    async def _settle_by_steps(
        self, part: Partition, job_id: JobId, change: Change, attempt: Attempt, *, back: bool
    ) -> None:
        try:
            assert change.before is not None
            assert change.job is not None
            await self._finish(part, job_id, change.before, change.job)
            self._forget(job_id, attempt)
            if change.job.status is not Status.WAITING:
                return
            await attempt.over()  # never two attempts of one job at once
            self._loop.call_soon(partial(self.take_up, part, job_id.offset, back=back))
        except PartitionLost:
            return  # kill -9 and this leave the same: executing, and the next owner goes on
        finally:
            self._forget(job_id, attempt)
            self._room.set()

    async def _finish(self, part: Partition, job_id: JobId, before: Job, after: Job) -> None:
        """Write a row in place of ``before``, after its dead letter if it has failed.

        Raises:
            PartitionLost: the partition is no longer ours.
        """
        while after.status is Status.FAILED:
            part.check()
            try:
                data = None if before.data is msgspec.UNSET else bytes(before.data)
                await self.dead.put_job(job_id, after, data)
                break
            except (NotWritten, KafkaError) as exc:
                logger.warning("job %s: its dead letter waits for Kafka: %s", job_id, exc)
                await asyncio.sleep(RETRY_MS / 1000)
        # kill -9 here: a dead letter of a job that is executing still; it is run again, and may
        # get a second letter.
        await self._table.write(part, [Change(job_id.offset, before, after)])

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.set()
        if not task.cancelled() and task.exception() is not None:
            logger.error("a job's step raised; please report this", exc_info=task.exception())
