"""``faust -A app verify``: the rows of the log, held against the jobs topic and the workers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

from aiokafka.errors import KafkaError

from commands.base import CommandError, option
from commands.kafka import Kafka, TopicCommand
from commands.served import Served
from commands.workers import URL, NoWorker, Workers, workers
from inspection.comparing import Later
from inspection.folds import Folded, folds
from inspection.slices import Advance, Extent, extents, length, scan
from inspection.verifying import Limits, Problem, Records
from jobs.durations import NS_PER_MS, parse_duration
from jobs.errors import InvalidDuration
from jobs.model import Status
from log.groups import committed

MOST = 100_000  # problems that are told
AGAIN_S = 1.0  # before one is looked at again


class Verify(TopicCommand):
    """Check that nothing is missing, nothing is stuck, and workers show what the log says.

    \b
        $ faust -A app verify && echo clean
        $ faust -A app verify --logs-only --json

    Rows are rebuilt from the changelog. Each record of the jobs topic must have its row (or have
    had one, if that has expired), and no job may be late: executing longer than its timeout, or due
    while its partition stands still. Then each job is held against what workers show over HTTP;
    with none running only the logs are compared, and that is said. Exit code 1, and a list, if
    anything is wrong.
    """

    arguments = (
        option("--logs-only", is_flag=True, help="Ask no worker."),
        URL,
        option("--patience", default="5m", help="How late a job may be.", metavar="DURATION"),
    )

    async def run(self, logs_only: bool, url: str | None, patience: str) -> int:
        """Compare, and tell."""
        if logs_only and url is not None:
            raise CommandError("--logs-only asks no worker, and --url names one: give one of them")
        settings = self.settings
        try:
            patience_ms = parse_duration(patience) // NS_PER_MS
        except InvalidDuration as exc:
            raise CommandError(f"--patience: {exc}") from None
        limits = Limits(
            time.time_ns() // 1_000_000, patience_ms, round(settings.default_timeout_s * 1e9)
        )
        async with self.kafka() as kafka, workers(settings, url) as asking:
            served = None if logs_only else await self._served(kafka, asking, url is not None)
            checking = _Checking(kafka, served, limits)
            reach = await extents(kafka.reader, kafka.names.changelog, range(kafka.partitions))
            records = await extents(kafka.reader, kafka.names.jobs, range(kafka.partitions))
            total = length(reach) + length(records)
            with self.out.progress("verifying", total) as advance:
                await checking.run(reach, advance)
        self._tell(checking, served)
        return 1 if checking.problems else 0

    async def _served(self, kafka: Kafka, asking: Workers, named: bool) -> Served | None:
        try:
            about = await asking.must("/about")
        except NoWorker as exc:
            if named:
                raise
            self.out.note(f"only the logs are compared: {exc}")
            return None
        theirs, names = about.get("topics"), kafka.names
        ours = {"jobs": names.jobs, "changelog": names.changelog}
        if not isinstance(theirs, dict) or any(theirs.get(k) != v for k, v in ours.items()):
            text = f"the worker at {asking.url} is of another app ({theirs and theirs.get('jobs')})"
            if named:
                raise CommandError(text)
            self.out.note(f"only the logs are compared: {text}")
            return None
        return Served(asking)

    def _tell(self, checking: _Checking, served: Served | None) -> None:
        problems = checking.problems
        told: dict[str, Any] = {
            "ok": not problems,
            "jobs": checking.counts.total(),
            "by_status": {status.value: checking.counts[status] for status in Status},
            "unread": checking.unread,
            "workers": None if served is None else {"url": served.url, "jobs": served.jobs},
        }
        if self.json:
            rows = [
                {
                    "kind": each.kind,
                    "partition": each.partition,
                    "id": None if each.job_id is None else str(each.job_id),
                    "detail": each.detail,
                }
                for each in problems[:MOST]
            ]
            self.out.json({**told, "count": len(problems), "problems": rows})
            return
        for each in problems[:MOST]:
            where = each.job_id or f"partition {each.partition}"
            self.out.line(f"{each.kind:<12}  {where!s:<12}  {each.detail}", "red")
        by = "the logs alone" if served is None else f"{served.jobs:,} shown by workers"
        told_jobs = f"{told['jobs']:,} jobs have rows, {checking.unread:,} wait to be read; {by}"
        if problems:
            kinds = Counter(each.kind for each in problems)
            listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
            self.out.line(f"{told_jobs}: {listed}", "bold red")
        else:
            self.out.line(f"{told_jobs}: nothing is missing, stuck or different", "green")


class _Checking:
    """One partition after the other."""

    def __init__(self, kafka: Kafka, served: Served | None, limits: Limits) -> None:
        self.problems: list[Problem] = []
        self.counts: Counter[Status] = Counter()
        self.unread = 0
        self._kafka = kafka
        self._served = served
        self._limits = limits

    async def run(self, reach: dict[int, Extent], advance: Advance) -> None:
        """Check all of them.

        Raises:
            KafkaError: the topics can't be read.
            CommandError: workers stop answering.
        """
        kafka, numbers = self._kafka, range(self._kafka.partitions)
        topic = kafka.names.jobs
        try:
            places = await committed(kafka.admin, kafka.settings.app_id, {topic: numbers})
        except KafkaError:
            places = {}  # then rows alone tell how far intake is
        # What is committed by now has its row in what is read from here on.
        ends = await kafka.reader.ends(kafka.names.changelog, numbers)
        reach = {n: Extent(start, ends[n]) for n, (start, _) in reach.items()}
        async for folded in folds(kafka.reader, kafka.names.changelog, reach, advance=advance):
            n = folded.partition
            jobs = (await extents(kafka.reader, topic, [n]))[n]
            records = Records(folded, jobs.start, places.get((topic, n)), self._limits)
            async for some in scan(kafka.reader, topic, n, jobs, advance):
                self.problems += records.take(some)
            self.problems += records.beyond(jobs.stop)
            self.unread += records.unread
            self.counts += folded.briefs.counts()
            await self._again(folded, records, reach[n].stop)
            self.problems += records.stuck()

    async def _again(self, folded: Folded, records: Records, place: int) -> None:
        """What looks wrong is looked at once more: the system goes on while we read."""
        doubtful = {} if self._served is None else await self._served.differing(folded)
        for turn in range(4):
            if not doubtful and (turn or not records.missing):
                break
            later = Later(folded, doubtful)
            if turn:
                await asyncio.sleep(AGAIN_S)
                later = Later(folded, doubtful)
                if self._served is not None:
                    doubtful = await self._served.shown(folded.partition, doubtful)
            elif records.missing:
                await asyncio.sleep(AGAIN_S)
            place = await self._read_on(folded, later, place)
            doubtful = {id: shown for id, shown in doubtful.items() if not later.shown(id, shown)}
        self.problems += records.look_again()
        if self._served is not None:
            self.problems += self._served.problems(folded, doubtful)

    async def _read_on(self, folded: Folded, later: Later, place: int) -> int:
        kafka, n = self._kafka, folded.partition
        stop = await kafka.reader.end(kafka.names.changelog, n)
        async for some in scan(kafka.reader, kafka.names.changelog, n, Extent(place, stop)):
            folded.take(some)
            later.take(some)
        return max(place, stop)
