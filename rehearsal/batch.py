"""Many jobs from the log, run again by the code that is here, in slots as a worker has them.

Handlers that aren't marked ``rehearse=True`` aren't run; follow-ups are noted down and not sent;
delays and backoff aren't waited for. No more is held than the jobs that run and some that are next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agents.admission import first_row
from agents.callers import Callers
from agents.limits import Limits
from execution.pool import Pool
from jobs.codec import decode_request
from jobs.model import MAX_PARTITION, Job, JobId, Status
from jobs.registry import Registry
from jobs.resources import Resources
from log.reader import Record
from rehearsal.alone import Alone, now_ms

logger = logging.getLogger(__name__)

AHEAD = 100  # jobs that are ready, beside those that run
KEPT_FOLLOW_UPS = 20  # of one job
PATIENCE_S = 5.0  # for a handler that goes on after its stop; then its slot is free all the same


@dataclass(slots=True)
class Rehearsed:
    """What came of one job.

    Attributes:
        row: its row, as a worker would have written it; final, unless it was ``skipped``.
        skipped: why it wasn't run.
        follow_ups: how many it submitted; ``submitted`` has the first of them.
    """

    job_id: JobId
    row: Job
    skipped: str | None = None
    follow_ups: int = 0
    submitted: list[dict[str, Any]] = field(default_factory=list)


class Batch:
    """Runs the jobs of records. For one run."""

    def __init__(
        self,
        registry: Registry,
        limits: Limits,
        processes: int,
        resources: Resources,
        max_row_bytes: int,
        tell: Callable[[Rehearsed], None],
        running: Callable[[Iterable[JobId]], None] = lambda jobs: None,
    ) -> None:
        """``limits.workers`` are the slots.

        Args:
            tell: called with each job when it has ended, in no order.
            running: called with those that run, whenever one begins or ends.
        """
        self._registry = registry
        self._max_row_bytes = max_row_bytes
        self._tell = tell
        self._running = running
        callers = Callers(registry, processes, resources, self._note)
        callers.rehearsal = True
        self._alone = Alone(callers, limits, "rehearsal")
        self._open: dict[JobId, Rehearsed] = {}
        self._most = limits.workers + AHEAD
        self._pool: Pool[JobId] = Pool(limits.workers, 0, self._work, callers.limits)
        self._moved = asyncio.Event()
        self._failure: BaseException | None = None
        self.left = 0  # attempts whose handlers went on in spite of their stop

    async def run(
        self,
        records: AsyncIterator[tuple[JobId, Record]],
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Run all of them. Cancelling it stops no handler that runs: the process ends then.

        Args:
            before: awaited before the first one that is run.
        """
        async for job_id, record in records:
            row = first_row(record, self._registry, self._max_row_bytes, now_ms())
            job = Rehearsed(job_id, row)
            handler = self._registry.get(row.handler)
            if row.status is Status.WAITING and not (handler and handler.rehearse):
                job.skipped = f"handler {row.handler!r} isn't marked rehearse=True"
            if row.status is not Status.WAITING or job.skipped:
                self._tell(job)
                continue
            if before is not None:
                await before()
                before = None
            await self._fewer_than(self._most)
            self._open[job_id] = job
            self._add(job)
        await self._fewer_than(1)

    def close(self) -> None:
        """End the processes."""
        self._pool.stop()
        self._alone.callers.close()

    async def _fewer_than(self, count: int) -> None:
        while len(self._open) >= count and self._failure is None:
            self._moved.clear()
            await self._moved.wait()
        if self._failure is not None:
            raise self._failure

    def _add(self, job: Rehearsed) -> None:
        self._pool.add(job.job_id, rerun=False, group=self._alone.callers.group(job.row))

    async def _work(self, job_id: JobId) -> None:
        job, running = self._open[job_id], self._pool.first.begun
        self._running(running)
        try:
            ended = await self._alone.attempt(job_id, job.row, PATIENCE_S)
            job.row = ended.row
            self.left += ended.left
            if job.row.status is Status.WAITING:
                asyncio.get_running_loop().call_soon(self._add, job)  # its slot is free by then
                return
            del self._open[job_id]
            self._tell(job)
        except BaseException as exc:  # what is told can't be written, perhaps
            self._failure = self._failure or exc  # the run raises it
            if not isinstance(exc, Exception):
                raise
        finally:
            self._running(running - {job_id})
            self._moved.set()

    async def _note(self, request: dict[str, Any]) -> JobId:
        """A follow-up; its id is none that a job can have, and the same each time."""
        value = msgspec.json.encode(request)
        decode_request(value)
        job = self._open.get(JobId.parse(str(request["parent"])))
        if job is None:  # a thread that went on after its job's end
            return JobId(MAX_PARTITION, 0)
        if len(job.submitted) < KEPT_FOLLOW_UPS:
            job.submitted.append(msgspec.json.decode(value))
        job.follow_ups += 1
        return JobId(MAX_PARTITION, job.follow_ups)
