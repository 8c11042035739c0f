"""From an attempt's outcome to the row that records it, and what is written before that row."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import msgspec
from aiokafka.errors import KafkaError

from agents.dead import DeadLetters
from agents.outcomes import Outcomes
from execution.executor import Attempt, Interrupted, Outcome
from jobs.model import Job, JobId, Status
from jobs.registry import Registry
from log.writer import NotWritten
from tables.jobs import Change, JobTable, now_ms
from tables.partition import Partition, PartitionLost

logger = logging.getLogger(__name__)

RETRY_MS = 1_000  # before what Kafka refused is tried again


class Settling:
    """Records outcomes. ``settled`` is called when one is recorded, or nobody's; ``moved`` when a
    job is no longer on its way; ``again`` for a job that waits once more, with whether it is the
    next one."""

    def __init__(
        self,
        table: JobTable,
        registry: Registry,
        dead: DeadLetters,
        outcomes: Outcomes,
        *,
        settled: Callable[[JobId, Attempt], None],
        moved: Callable[[], None],
        again: Callable[[Partition, int, bool], None],
    ) -> None:
        self._table = table
        self._registry = registry
        self._dead = dead
        self._outcomes = outcomes
        self._settled = settled
        self._moved = moved
        self._again = again
        self._sent = 0  # outcomes on their way into the log
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Jobs that are on their way."""
        return self._sent + len(self._tasks)

    def settle(
        self, part: Partition, job_id: JobId, row: Job, outcome: Outcome, attempt: Attempt
    ) -> None:
        """Write what an attempt came to. What needs nothing before it is sent at once."""
        handler = self._registry.get(row.handler)
        after, value = self._outcomes.kept(row, handler, outcome, now_ms())
        change = Change(job_id.offset, row, after, None, value)
        if (
            after.status.final
            and after.status is not Status.FAILED  # its dead letter goes before it
            and self._table.put_one(part, change, partial(self._recorded, job_id, attempt))
        ):
            self._sent += 1
            return
        back = isinstance(outcome, Interrupted)
        self.spawn(self._by_steps(part, job_id, change, attempt, back=back))

    def spawn(self, step: Coroutine[Any, Any, None]) -> None:
        """Take a step of a job that has to wait for something."""
        task = asyncio.get_running_loop().create_task(step)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def finish(self, part: Partition, job_id: JobId, before: Job, after: Job) -> None:
        """Write a row in place of ``before``, after its dead letter if it has failed.

        Raises:
            PartitionLost: the partition is no longer ours.
        """
        while after.status is Status.FAILED:
            part.check()
            try:
                data = None if before.data is msgspec.UNSET else bytes(before.data)
                await self._dead.put_job(job_id, after, data)
                break
            except (NotWritten, KafkaError) as exc:
                logger.warning("job %s: its dead letter waits for Kafka: %s", job_id, exc)
                await asyncio.sleep(RETRY_MS / 1000)
        # kill -9 here: a dead letter of a job that is executing still; it is run again, and may
        # get a second letter.
        await self._table.write(part, [Change(job_id.offset, before, after)])

    def _recorded(self, job_id: JobId, attempt: Attempt) -> None:
        # kill -9 and a lost lease leave the same: executing, and the next owner goes on.
        self._sent -= 1
        self._settled(job_id, attempt)
        self._moved()

    async def _by_steps(
        self, part: Partition, job_id: JobId, change: Change, attempt: Attempt, *, back: bool
    ) -> None:
        try:
            assert change.before is not None
            assert change.job is not None
            await self.finish(part, job_id, change.before, change.job)
            self._settled(job_id, attempt)
            if change.job.status is not Status.WAITING:
                return
            await attempt.over()  # never two attempts of one job at once
            asyncio.get_running_loop().call_soon(self._again, part, job_id.offset, back)
        except PartitionLost:
            return  # kill -9 and this leave the same: executing, and the next owner goes on
        finally:
            self._settled(job_id, attempt)
            self._moved()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._moved()
        if not task.cancelled() and task.exception() is not None:
            logger.error("a job's step raised; please report this", exc_info=task.exception())


__all__ = ["RETRY_MS", "Settling"]
