"""``faust -A app rehearse``: jobs of the log once more, by the code that is here, in isolation."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, NoReturn

from agents.hooks import close_resources, open_resources
from agents.limits import Limits
from commands.asked import WANTED, parse_wanted, several
from commands.base import CommandError, argument
from commands.kafka import Kafka, TopicCommand, option
from commands.output import Output
from commands.rehearsed import Shown
from commands.slices import slices_of
from inspection.chosen import Chosen, chosen
from inspection.slices import length
from inspection.wanted import Wanted
from jobs.model import JobId, Status
from jobs.registry import HANDLERS
from jobs.resources import Resources
from log.reader import Record
from rehearsal.batch import Batch
from rehearsal.compare import FIELDS, Verdict
from rehearsal.guarded import Board, Death, guarded
from rehearsal.report import Report
from worker.worker import StartError


class Rehearse(TopicCommand):
    """Run jobs of the log once more with the code that is here, and compare what they come to.

    \b
        $ faust -A app rehearse --since 1h
        $ faust -A app rehearse 3-1000..3-2000 --handler resize --slots 4
        $ faust -A app rehearse --state failed --json > rehearsed.jsonl

    Nothing is written to Kafka, and no group is joined. Only handlers that are marked
    @handler(…, rehearse=True) are run, with ctx.rehearsal true; the jobs of others are counted as
    skipped, and so are canceled ones. Follow-ups are noted down and not sent. Delays and backoff
    aren't waited for. Exit code 1: some came to something else.
    """

    arguments = (
        argument("ids", nargs=-1),
        *WANTED,
        option("--slots", type=int, help="Attempts at once, instead of JOBS_WORKERS."),
        option("--limit", type=int, help="No more than so many jobs, from the first on."),
        option(
            "--ignore",
            multiple=True,
            metavar="FIELD",
            help=f"What may differ: {', '.join(FIELDS)}.",
        ),
        option("--worse", is_flag=True, help="Exit with 1 only where some came off worse."),
        option("--all", "everything", is_flag=True, help="Show also those that came to the same."),
    )

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """In a child process, since handlers may end it."""
        self._board = Board()
        guarded(self._board, self._died)
        # What handlers print goes to standard error; standard output is the report's.
        self.out = Output(as_json=self.json, quiet=self.quiet, out=_own_stdout())
        super().__call__(*args, **kwargs)

    async def run(
        self,
        ids: tuple[str, ...],
        slots: int | None,
        limit: int | None,
        ignore: tuple[str, ...],
        worse: bool,
        everything: bool,
        **given: Any,
    ) -> int:
        """Rehearse, and report."""
        try:
            wanted = parse_wanted(ids, **given)
            for name, number in (("--slots", slots), ("--limit", limit)):
                if number is not None and not 1 <= number <= 1_000_000_000:
                    raise CommandError(f"{name} {number}: must be at least 1")
            fields = several("--ignore", ignore)
            for field in fields:
                if field not in FIELDS:
                    raise CommandError(f"--ignore {field}: there are {', '.join(FIELDS)}")
            shown = Shown(self.out, everything=everything)
            report = Report(fields, shown.result)
            async with self.kafka() as kafka:
                return await self._rehearse(kafka, wanted, report, shown, slots, limit, worse)
        finally:
            self._board.ended()

    async def _rehearse(
        self,
        kafka: Kafka,
        wanted: Wanted,
        report: Report,
        shown: Shown,
        slots: int | None,
        limit: int | None,
        worse: bool,
    ) -> int:
        s, began = kafka.settings, time.monotonic()
        limits = Limits.of(s)
        if slots is not None:
            limits = dataclasses.replace(limits, workers=slots)
        resources = Resources()
        batch = Batch(
            HANDLERS,
            limits,
            s.processes or os.cpu_count() or 1,
            resources,
            s.max_row_bytes,
            report.take,
            lambda running: self._board.running(map(str, running)),
        )
        interrupted = False
        try:
            slices = await slices_of(kafka, wanted)
            topics = kafka.names.jobs, kafka.names.changelog
            with self.out.progress("rehearsing", length(slices)) as advance:
                jobs = chosen(kafka.reader, topics, slices, wanted, advance)
                async with aclosing(jobs), aclosing(_expected(jobs, report, limit)) as records:
                    await batch.run(records, lambda: _open(resources))
        except asyncio.CancelledError:
            interrupted = True
        finally:
            batch.close()
        if not report.ran and not report.skipped and not interrupted:
            raise CommandError("no job is like that; what there is: faust -A app jobs")
        await close_resources(resources)
        shown.summary(report, time.monotonic() - began, interrupted=interrupted)
        found = report.counts[Verdict.WORSE] if worse else report.differ
        code = 130 if interrupted else int(found > 0)
        if interrupted or batch.left:
            self._leave(code)
        return code

    def _leave(self, code: int) -> NoReturn:
        """End at once: a handler goes on that can't be stopped, and would be waited for."""
        self._board.ended()
        self.out.console.file.flush()
        os._exit(code)

    def _died(self, death: Death) -> int:
        self.out.error(
            f"the rehearsal's process ended {death.how} in the middle: one of the jobs that ran "
            f"took it down ({death.running or 'none ran'}); leave it out, or run its handler with "
            "process=True"
        )
        return 1


async def _expected(
    jobs: AsyncIterator[Chosen], report: Report, limit: int | None
) -> AsyncGenerator[tuple[JobId, Record], None]:
    """Those that can be run; the report is told what is recorded of them."""
    count = 0
    async for job in jobs:
        if limit is not None and count >= limit:
            return
        count += 1
        if job.status is Status.CANCELED:
            report.skip("it was canceled")
            continue
        report.expect(job.job_id, job.row)
        yield job.job_id, job.record


async def _open(resources: Resources) -> None:
    try:
        await open_resources(resources)
    except StartError as exc:
        raise CommandError(str(exc)) from None


def _own_stdout() -> Any:
    ours = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="replace")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return ours
