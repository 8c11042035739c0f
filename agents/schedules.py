"""Jobs by the clock: whoever owns a schedule's partition sends its jobs.

Owners change, and two may send the same run: one that died before its record was admitted, or
one that doesn't know yet that it has lost the partition. Each run is therefore told by its
scheduled time, in the record's headers, and intake admits it once (``agents.jobs``). So a new
owner need not know what the old one has sent: it sends all that has no mark.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from jobs.codec import encode_json
from jobs.errors import told
from jobs.model import ScheduledRun
from jobs.schedules import Missed, Schedule
from log.writer import Entry, LogWriter, NotWritten
from tables.jobs import JobTable, now_ms
from tables.marks import MAX_SKEW_MS, Since
from tables.partition import Partition, PartitionLost

logger = logging.getLogger(__name__)

AGAIN_MS = 5_000  # before what failed is tried again


@dataclass
class _Turn:
    """How far a schedule has come under one lease of its partition. Times are epoch ms."""

    part: Partition
    sent: int  # all its times up to here have been sent, or missed for good
    look_at: int = 0


class Scheduler:
    """Sends the jobs of the schedules whose partitions this worker owns."""

    def __init__(
        self,
        schedules: Iterable[Schedule],
        table: JobTable,
        writer: LogWriter,
        topic: str,
        partitions: Callable[[], int],
    ) -> None:
        self._schedules = schedules
        self._table = table
        self._writer = writer
        self._topic = topic
        self._partitions = partitions
        self._turns: dict[str, _Turn] = {}
        self._told: set[str] = set()

    async def look(self) -> None:
        """Send what is due now."""
        self._tell_unknown()
        looks = []
        for each in self._schedules:
            part = self._table.served.get(each.partition(self._partitions()))
            if part is None or not part.alive:
                self._turns.pop(each.name, None)
            elif (turn := self._turns.get(each.name)) is None or now_ms() >= turn.look_at:
                looks.append(self._guarded(each, part))
        await asyncio.gather(*looks)

    async def _guarded(self, schedule: Schedule, part: Partition) -> None:
        """One that fails holds up no other."""
        try:
            await self._look_at(schedule, part)
            return
        except PartitionLost:
            return
        except NotWritten as exc:
            logger.warning("schedule %r waits for Kafka: %s", schedule.name, exc)
        except Exception:
            logger.exception("schedule %r can't be looked at; please report this", schedule.name)
        turn = self._turns.get(schedule.name)
        if turn is not None:
            turn.look_at = now_ms() + AGAIN_MS

    async def _look_at(self, schedule: Schedule, part: Partition) -> None:
        now = now_ms()
        turn = self._turns.get(schedule.name)
        if turn is None or turn.part is not part or turn.sent > now + MAX_SKEW_MS:
            turn = _Turn(part, await self._begin(schedule, part, now))
            self._turns[schedule.name] = turn
        due = schedule.due(turn.sent, now)
        times = due.times
        if due.late is not None:
            late = schedule.missed is Missed.LAST and not times
            self._tell_missed(schedule, due.late, late)
            times = [due.late] if late else times
        for at in times:
            turn.look_at = now + AGAIN_MS  # unless all goes well
            fired = part.marks.fired.get(schedule.name)
            if not (fired is not None and fired.has(at)) and not await self._send(
                schedule, part, at
            ):
                return
            turn.sent = at
        turn.sent = max(turn.sent, due.late or 0)
        turn.look_at = schedule.next(max(turn.sent, now))

    async def _begin(self, schedule: Schedule, part: Partition, now: int) -> int:
        """The time up to which nothing is left to send, as the changelog has it."""
        since = part.marks.since.get(schedule.name)
        if since is None or since.rule != schedule.rule or since.at > now + MAX_SKEW_MS:
            # kill -9 before it is durable: the next owner takes a later time, and a run that
            # was due in between, the first one ever, is none.
            since = Since(schedule.name, schedule.rule, now)
            await self._table.note(part, since)
        fired = part.marks.fired.get(schedule.name)
        until = None if fired is None else fired.until(now)
        return since.at if until is None else max(since.at, until)

    async def _send(self, schedule: Schedule, part: Partition, at: int) -> bool:
        """Put a run's job on the topic; false if its data can't be made.

        kill -9 after it is written and before it is admitted: the next owner sends it again.
        """
        time = schedule.time(at)
        try:
            data = encode_json(schedule.data(time))
        except BaseException as exc:  # also SystemExit, which would end the worker, and the next
            name, at_text = schedule.name, time.isoformat()
            logger.error("schedule %r: no data for %s: %s", name, at_text, told(exc))
            return False
        value = msgspec.json.encode({"handler": schedule.handler, "data": data})
        headers = ScheduledRun(schedule.name, at).headers()
        entry = Entry(part.number, None, value, headers)
        (meta,) = await self._writer.write(self._topic, [entry])
        logger.info(
            "schedule %r: its run of %s is job %d-%d",
            schedule.name,
            time.isoformat(),
            part.number,
            meta.offset,
        )
        return True

    def _tell_unknown(self) -> None:
        """A worker without a schedule's module holds its runs up while it has the partition."""
        known = {each.name for each in self._schedules}
        for number, part in self._table.served.items():
            for name in part.marks.since.keys() - known - self._told:
                self._told.add(name)
                logger.warning(
                    "partition %d has a schedule %r that this worker doesn't know: it isn't run "
                    "while the partition is ours. Is its module in JOBS_HANDLERS? If the schedule "
                    "has been given up, all is well",
                    number,
                    name,
                )

    def _tell_missed(self, schedule: Schedule, late: int, runs: bool) -> None:
        time = schedule.time(late).isoformat()
        does = "is run now" if runs else "is not run"
        logger.warning("schedule %r: no worker was there at %s; it %s", schedule.name, time, does)
