"""Rebalances: which partitions are ours, and what becomes of the jobs in them.

Revoked: say that we are alive and let go (``Takeover.release``), but go on; most partitions
stay with their worker. Assigned: those that are gone are let go of, the others are taken over,
their unfinished rows are taken up, and only then are they served.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable, Sequence, Set
from typing import Any, cast

from aiokafka.errors import KafkaError
from faust.types import TP

from agents.dead import DeadLetters
from agents.feed import Feed
from agents.runner import Runner
from jobs import state
from jobs.histogram import Histogram
from jobs.model import JobId, Status
from log.reader import LogReader
from log.writer import NotWritten
from tables.jobs import Change, JobTable, now_ms
from tables.partition import Partition, PartitionLost
from tables.takeover import Taken, Takeover
from worker.app import JobsApp
from worker.transport import JobsConsumer

logger = logging.getLogger(__name__)

RETRY_S = 1.0
LOOK_S = 0.2  # how often it is asked whether the group has confirmed us
STOPS = ""  # no reason to tell of: everybody knows
RELEASE_S = 2.0  # a rebalance waits for this; a mark that is late only counts as a crash
RECOVERY_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)  # bounds of the histogram
_BATCH = 500


class Resume:
    """Keeps the table, the feeds and the runner in step with what the group assigns to us."""

    def __init__(
        self,
        app: JobsApp,
        table: JobTable,
        takeover: Takeover,
        runner: Runner,
        dead: DeadLetters,
        reader: LogReader,
        feeds: Sequence[Feed],
        changelog: str,
    ) -> None:
        """``feeds``: jobs first, cancels last."""
        self._app = app
        self._table = table
        self._takeover = takeover
        self._runner = runner
        self._dead = dead
        self._reader = reader
        self._feeds = feeds
        self._changelog = changelog
        self._busy = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._committed: dict[tuple[str, int], int] = {}
        self._cursors: dict[int, int] = {}
        self._generation = -1  # of the group, and what we served at its assignment's end
        self._had: frozenset[int] = frozenset()
        self.resumed = 0  # unfinished rows taken up after takeovers
        self.rebalances = 0  # assignments of the group, the first one too
        self.recovered = Histogram(RECOVERY_S)  # from an assignment to serving what it gave us
        self.assigned = False  # whether a first assignment is through

    @property
    def taking(self) -> bool:
        """Whether partitions are being taken over now, which may take its time."""
        return self._busy.locked()

    @property
    def recovering(self) -> bool:
        """Whether partitions are ours that aren't served yet."""
        return not self.assigned or self._busy.locked()

    async def on_revoked(self) -> None:
        """The group rebalances: commit our places, and mark what runs as not crashed."""
        try:
            async with asyncio.timeout(RELEASE_S):
                await self.commit()
            await self._takeover.release(self._table.served.values(), RELEASE_S)
        except (TimeoutError, KafkaError, NotWritten) as exc:
            # The next owner reads a little again, and counts what runs as crashed once.
            logger.warning("letting go without a commit or a mark: Kafka doesn't answer: %r", exc)

    async def on_assigned(self) -> None:
        """The group has settled. Streams start when this returns."""
        began = time.monotonic()
        self.rebalances += 1
        numbers = self._ours()
        # What we had in the generation before this one has had no other owner. Whoever has written
        # there held a wrong belief, and need not have died.
        generation, before = self._app.consumer_generation_id, self._generation
        given = numbers - (self._had if generation == before + 1 else frozenset())
        self._generation = generation
        for feed in self._feeds:
            feed.clear()
        for gone in set(self._table.served) - numbers:
            self._forget(gone, "another worker has it now")
        async with self._busy:
            while not await self._take(numbers, given):
                await asyncio.sleep(RETRY_S)
        for gone in set(self._table.served) - self._ours():
            self._forget(gone, "it moved on while we took it")
        self._had = frozenset(self._table.served)
        self.assigned = True
        self.recovered.observe(time.monotonic() - began)

    def lost(self, part: Partition, why: str) -> None:
        """A lease ended. If the partition is still assigned to us, take it over again."""
        current = self._table.served.get(part.number)
        if current is not None and current is not part:
            return  # a lease of a takeover that was cut short; the jobs are another one's now
        self._runner.let_go(part)
        if current is part:
            self._forget(part.number, why)
            self._spawn(self._retake(part.number))

    def foreign(self, part: Partition) -> None:
        """Somebody else's records stand in our changelog."""
        self._spawn(self._mend(part))

    async def watch_changelogs(self) -> None:
        """Look for foreign records at the end of changelog partitions that are quiet; where
        we write, our own acknowledgements show them."""
        parts = {n: part for n, part in self._table.served.items() if part.alive}
        quiet = [n for n, part in parts.items() if self._cursors.get(n) == part.cursor]
        self._cursors = {n: part.cursor for n, part in parts.items()}
        ends = await self._reader.ends(self._changelog, quiet) if quiet else {}
        for n, end in ends.items():
            if end > parts[n].cursor and parts[n].alive:
                await self._mend(parts[n])

    async def commit(self) -> None:
        """Commit the places that have moved."""
        places = {
            (feed.topic, p): place
            for feed in self._feeds
            for p, place in feed.places.items()
            if self._committed.get((feed.topic, p)) != place
        }
        offsets = {TP(topic, p): place for (topic, p), place in places.items()}
        if places and await self._consumer.commit_places(offsets):
            self._committed.update(places)

    async def stop(self) -> None:
        """Commit, let go on purpose, and serve nothing any more."""
        await self.on_revoked()
        if not self._app.stale():
            await self._takeover.keep(list(self._table.served.values()))
        for number in list(self._table.served):
            self._forget(number, STOPS)
        for task in self._tasks:
            task.cancel()

    @property
    def _consumer(self) -> JobsConsumer:
        return cast(JobsConsumer, self._app.consumer)

    def _ours(self) -> set[int]:
        jobs = self._feeds[0].topic
        return {tp.partition for tp in self._consumer.assignment() if tp.topic == jobs}

    def _forget(self, number: int, why: str) -> None:
        for feed in self._feeds:
            feed.forget(number)
            self._committed.pop((feed.topic, number), None)
        self._table.drop(number, why)

    async def _take(self, numbers: Iterable[int], given: Set[int]) -> bool:
        """Take partitions over. ``given``: those that the group has given to us now, so that who
        had them before, and hasn't let go, is dead. False: Kafka must be waited for."""
        wanted = set(numbers) & self._ours()  # a rebalance may have come meanwhile
        taken: list[Taken] = []
        try:
            held = dict(self._table.served)
            taken = await self._takeover.take(sorted(wanted), held)
            places = await self._places([t.partition for t in taken if not t.kept])
            cancels, fresh = self._feeds[-1].topic, list(places)
            ends = await self._reader.ends(cancels, fresh) if fresh else {}
            for each in taken:
                if not each.kept:
                    n = each.partition.number
                    died = each.orphaned and n in given
                    await self._resume(each.partition, died, places[n], ends[n])
        except (KafkaError, NotWritten, PartitionLost) as exc:
            logger.warning("taking partitions over waits for Kafka: %s", exc)
            return False
        finally:
            for each in taken:
                if self._table.served.get(each.partition.number) is not each.partition:
                    each.partition.alive = False  # cut short: nobody writes under it
        return True

    async def _resume(
        self, part: Partition, died: bool, places: dict[str, int], cancels_end: int
    ) -> None:
        """Bring unfinished rows in order, carry out the cancels that are there, then serve the
        partition and let its jobs run: none that was canceled while nobody had it begins.
        ``died``: its last owner, and what was executing counts a crash."""
        part.on_lost = self.lost
        part.on_foreign = self.foreign
        open_rows = part.rows.unfinished()
        broken = [
            Change(n, job, state.interrupted(job, now=now_ms(), crashed=died))
            for n, job in open_rows
            if job.status is Status.EXECUTING
        ]
        await self._bury(part, broken)
        for i in range(0, len(broken), _BATCH):
            # kill -9 in between: the rest is still executing, and counts one more crash.
            await self._table.write(part, broken[i : i + _BATCH])
        self._takeover.counted(part.number)
        for feed in self._feeds:
            feed.assign(part.number, places[feed.topic])
        await self._feeds[-1].catch_up(part, cancels_end)
        part.check()
        self._table.serve(part)
        for offset, _ in open_rows:
            self._runner.take_up(part, offset)
        self.resumed += len(open_rows)
        if open_rows:
            logger.info(
                "partition %d: %d unfinished jobs are taken up, %d of them were executing",
                part.number,
                len(open_rows),
                len(broken),
            )

    async def _bury(self, part: Partition, rows: Sequence[Change]) -> None:
        for change in rows:
            job = change.job
            if job is not None and job.status is Status.FAILED:  # poison
                job_id = JobId(part.number, change.offset)
                logger.error("job %s: %s", job_id, job.error)
                await self._dead.put_job(job_id, job, None)

    async def _places(self, parts: Sequence[Partition]) -> dict[int, dict[str, int]]:
        """The next place to handle, by partition and topic: the committed one, or the first
        that is there."""
        numbers = [part.number for part in parts]
        if not numbers:
            return {}
        found: dict[int, dict[str, int]] = {n: {} for n in numbers}
        for feed in self._feeds:
            tps = {n: TP(feed.topic, n) for n in numbers}
            committed = await self._consumer.committed(list(tps.values()))
            starts = await self._reader.starts(feed.topic, numbers)
            for n in numbers:
                found[n][feed.topic] = max(committed[tps[n]] or 0, starts[n])
        return found

    async def _retake(self, number: int) -> None:
        lost_at = time.monotonic()
        while True:
            try:
                # Whoever took it over may have it from the group, which we needn't know yet: we
                # may have been cut off, and out of the group since. If so, the next heartbeat is
                # refused, and a rebalance will tell whose it is.
                while (
                    not self._app.confirmed(lost_at) or self._app.stale() or self._app.rebalancing
                ):
                    await asyncio.sleep(LOOK_S)
                async with self._busy:
                    if number not in self._ours() or number in self._table.served:
                        return
                    if await self._take([number], frozenset()):
                        return
                lost_at = time.monotonic()  # the group may have moved on meanwhile: ask it again
            except Exception:
                logger.exception("partition %d can't be taken back yet; please report", number)
            await asyncio.sleep(RETRY_S)

    async def _mend(self, part: Partition) -> None:
        try:
            await self._takeover.mend(part)
        except (KafkaError, NotWritten) as exc:
            part.lose(f"its changelog can't be mended: {exc}")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
