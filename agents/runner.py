"""A job's life from its first row to its last: waiting → executing → an outcome → the next row.

Every step is: compute the row by ``jobs.state``, write it durably, go on. Transitions start
from the newest row (``Partition.head``), so a late outcome can't bring back a canceled job.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from agents import tracing
from agents.callers import Callers
from agents.dead import DeadLetters
from agents.limits import Limits
from agents.outcomes import Outcomes
from agents.room import Room
from agents.settling import RETRY_MS, Settling
from execution.clocks import Clocks
from execution.executor import Attempt, Canceled, Interrupted, Outcome, Stop
from execution.pool import Pool
from execution.timers import DueTimer
from jobs import state
from jobs.histogram import Histogram
from jobs.model import Job, JobId, Status
from jobs.registry import Kind
from log.writer import NotWritten
from tables.jobs import Change, JobTable, now_ms
from tables.partition import Partition, PartitionLost

if TYPE_CHECKING:
    from execution.tracing import Tracing

logger = logging.getLogger(__name__)

# Bounds of the histogram of attempts, in seconds.
ATTEMPT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
AHEAD = 1_000  # so many jobs, at most, write that they execute before they have a slot
_STOP_S = 5.0  # for handlers to end after they were interrupted in a drain


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
        self.dead = dead
        self._limits = limits
        self.worker = worker
        self._send_rerun = send_rerun
        self._pool: Pool[JobId] = Pool(
            limits.workers, limits.rerun_workers, self._work, callers.limits, AHEAD
        )
        self._timer: DueTimer[JobId] = DueTimer(self._due)
        self._attempts: dict[JobId, Attempt] = {}
        self._begun: dict[JobId, tuple[Partition, Job, Attempt]] = {}  # their first rows are sent
        self.room = Room(limits.max_open, self._pool, lambda: len(self._settling))
        self._settling = Settling(
            table,
            callers.registry,
            dead,
            Outcomes(limits.retry, limits.max_result_bytes),
            settled=self._forget,
            moved=self.room.moved,
            again=self.take_up,
        )
        self._clocks = Clocks()
        self.tracing: Tracing | None = None
        self.took: dict[str, Histogram] = {}  # attempts' durations, by handler
        self._draining = False

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # asked for each job, it would take its time

    @property
    def executing(self) -> int:
        """Attempts that run now."""
        return len(self._pool.first.running) + len(self._pool.reruns.running)

    @property
    def slots(self) -> dict[str, tuple[int, int]]:
        """Slots that are taken, and all of them: for first attempts and for reruns."""
        lanes = {"first": self._pool.first, "rerun": self._pool.reruns}
        return {name: (len(lane.running), lane.slots) for name, lane in lanes.items()}

    def start(self, part: Partition, offset: int, job: Job, now: int) -> Job | None:
        """Let a job that has no row yet begin at once, if nothing stands before it: the row to
        write as its first one. It has its slot from now on; ``go`` says what became of the row.
        ``now``: epoch ms."""
        if job.status is not Status.WAITING or job.next_attempt_at is not None or self._draining:
            return None
        job_id = JobId(part.number, offset)
        if not self._pool.claim(job_id, self.callers.group(job)):
            return None
        row = state.start(job, now=now, worker=self.worker)
        attempt = self._attempt(job_id, row.attempt)
        self._begun[job_id] = (part, row, attempt)
        return row

    def go(self, part: Partition, offset: int) -> bool:
        """The row of a job that ``start`` has let begin is durable, or won't be. False: it doesn't
        stand, and the job doesn't run."""
        job_id = JobId(part.number, offset)
        _, row, attempt = self._begun[job_id]
        if not part.alive or part.head(offset) is not row:
            self._forget(job_id, attempt)
            self._left(job_id)
            return False
        if self.tracing is not None or row.traceparent is not None:
            self._pool.run(job_id)
        elif attempt.stopped or self._pool.take(job_id):
            self._run(job_id, True)
        else:
            self._pool.wait(job_id, partial(self._run, job_id))
        return True

    # A task for each job besides its handler's would be a tenth of what a job costs: what most
    # jobs take is callbacks. What ``_work`` does takes the same steps.

    def _run(self, job_id: JobId, has_slot: bool) -> None:
        _, row, attempt = self._begun[job_id]
        if not has_slot:
            attempt.stop(Interrupted())  # unless it has been stopped: those before it are long
        call, timeout_s, at_once = self._call(job_id, row, attempt)
        attempt.begin(call, timeout_s, partial(self._came_to, job_id), at_once=at_once)

    def _came_to(self, job_id: JobId, outcome: Outcome) -> None:
        part, row, attempt = self._begun[job_id]
        if not attempt.stopped:
            self._took(row.handler).observe(self._loop.time() - attempt.began_at)
        try:
            self._settling.settle(part, job_id, row, outcome, attempt)
        except Exception:
            logger.exception("job %s: its outcome can't be recorded; please report this", job_id)
            self._forget(job_id, attempt)
        attempt.when_over(partial(self._left, job_id))

    def _left(self, job_id: JobId) -> None:
        part, _, _ = self._begun.pop(job_id)
        self._pool.give_back(job_id)
        self._freed(part, job_id)

    def _freed(self, part: Partition, job_id: JobId) -> None:
        """A job has left its slot, or is about to."""
        self.room.moved()
        if self._table.served.get(job_id.partition) is not part:
            # Lost and taken back while the slot was taken: its job may have been passed over.
            self._loop.call_soon(self._look_again, part, job_id)

    def take_up(self, part: Partition, offset: int, back: bool = False) -> None:
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
            self.room.moved()
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
        self.room.moved()

    async def drain(self, grace_s: float) -> None:
        """Start nothing more, let what runs finish for ``grace_s``, then interrupt the rest."""
        self._draining = True
        self.room.close()
        self._pool.stop()
        self._timer.stop()
        if self.executing:
            text = "draining: %gs for what runs (%d) to finish; another signal interrupts it now"
            logger.info(text, grace_s, self.executing)
        await self._settled(grace_s)
        self.hurry()
        if self.executing:
            logger.info("draining: what runs (%d) is interrupted", self.executing)
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
                    if not (self._settling or self._begun):
                        return
                    await self.room.changed()
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
            self._settling.spawn(self._ask_for_rerun(job_id, job.next_attempt))

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
            if not (attempt.stopped or self._pool.take(job_id) or await self._pool.slot(job_id)):
                attempt.stop(Interrupted())  # unless it has been stopped: those before it are long
            outcome = await self._execute(job_id, row, attempt)
            self._settling.settle(part, job_id, row, outcome, attempt)
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
        self.room.moved()
        current = self._table.served.get(job_id.partition)
        if current is not None and current is not part:
            self.take_up(current, job_id.offset)

    async def _begin(self, part: Partition, job_id: JobId, job: Job) -> Job | None:
        """Write the row of an attempt that begins; ``None`` if there is no such handler."""
        if self._registry.get(job.handler) is None:
            error = f"no handler is named {job.handler!r} (known: {self._registry.names()})"
            row = state.refused(job, now=now_ms(), error=error)
            await self._settling.finish(part, job_id, job, row)
            return None
        row = state.start(job, now=now_ms(), worker=self.worker)
        # kill -9 before this is durable: waiting, started by the next owner.
        await self._table.write(part, [Change(job_id.offset, job, row)])
        if part.head(job_id.offset) is not row:
            return None  # canceled meanwhile
        # kill -9 from here on: executing; the next owner counts a crash and starts it again.
        return row

    async def _execute(self, job_id: JobId, row: Job, attempt: Attempt) -> Outcome:
        call, timeout_s, at_once = self._call(job_id, row, attempt)
        try:
            if self.tracing is None and row.traceparent is None:  # as nearly always
                return await attempt.run(call, timeout_s, at_once=at_once)
            with tracing.attempt(self.tracing, job_id, row) as ended:
                outcome = await attempt.run(call, timeout_s, at_once=at_once)
                ended(outcome)
                return outcome
        finally:
            if not attempt.stopped:
                self._took(row.handler).observe(self._loop.time() - attempt.began_at)

    def _call(
        self, job_id: JobId, row: Job, attempt: Attempt
    ) -> tuple[Callable[[], Coroutine[Any, Any, Any]], float, bool]:
        """What calls the handler, the attempt's limit, and whether its clock starts at once."""
        handler = self._registry.get(row.handler)
        assert handler is not None  # looked up in _begin, and handlers don't leave
        timeout_s = self._limits.attempt_s(row)
        call = partial(self.callers.call, handler, job_id, row, timeout_s, attempt.start_clock)
        return call, timeout_s, handler.kind is not Kind.PROCESS  # its clock is for its own work

    def _took(self, handler: str) -> Histogram:
        found = self.took.get(handler)
        if found is None:
            found = self.took[handler] = Histogram(ATTEMPT_S)
        return found
