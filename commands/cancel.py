"""``faust -A app cancel ID...``: jobs stopped for good, by records that their owners carry out."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import Mapping, Sequence

from aiokafka.errors import KafkaError

from agents.cancels import MAX_WHY_CHARS, entry
from commands.asked import read_ids
from commands.base import CommandError, argument, option
from commands.kafka import Kafka, TopicCommand
from commands.slices import check_ids
from inspection.job import NoJob
from inspection.owner import Owner
from inspection.watch import Watch
from jobs.durations import NS_PER_S, parse_duration
from jobs.errors import InvalidDuration
from jobs.model import JobId, Status
from log.writer import NotWritten

WAIT = "10s"
_COLUMNS = ("id", "status", "detail")


class Cancel(TopicCommand):
    """Cancel jobs, by their ids (- reads ids from standard input, one a line).

    \b
        $ faust -A app cancel 3-1042 --why "wrong address"
        $ faust -A app jobs --state waiting --handler mail --json \\
            | jq -r .id | faust -A app cancel -

    A waiting job doesn't run any more, an executing one has its attempt stopped; what has ended
    stays as it is. With one id that is wrong, nothing is done. The cancels are written to the log:
    while no worker runs they wait there for the next one. Exit code 1 says that not every job is
    canceled: one had ended before, or the wait was over.
    """

    arguments = (
        argument("ids", nargs=-1),
        option("--why", help="Stands in the jobs' error.", metavar="TEXT"),
        option("--wait", help=f"For their end, so long at most; else {WAIT}.", metavar="DURATION"),
        option("--no-wait", is_flag=True, help="End once Kafka has the cancels."),
    )

    async def run(
        self, ids: tuple[str, ...], why: str | None, wait: str | None, no_wait: bool
    ) -> int:
        """Look at all of them, ask, and see what becomes of it."""
        if wait is not None and no_wait:
            raise CommandError("--wait and --no-wait are both given: give one of them")
        wait_s, why = _seconds(WAIT if wait is None else wait), _why(why)
        jobs = await read_ids(ids)
        if not jobs:
            self.out.note("no id came on standard input: there is nothing to cancel")
            return 0
        async with self.kafka() as kafka:
            watch = await self._look(kafka, jobs)
            asked, owners = watch.open, dict[int, Owner | None]()
            await _ask(kafka, asked, why)
            try:
                if asked and not no_wait:
                    with self.out.progress("waiting for workers", len(asked)) as advance:
                        await watch.until_final(wait_s, advance)
                owners = await watch.owners()
            except KafkaError:
                pass  # it has the cancels: that is what counts
            except asyncio.CancelledError:
                self.out.note("interrupted: the cancels are in the log, and are carried out")
                raise
        self._tell(watch, set(asked), owners)
        told = watch.states.values()
        return 0 if all(s is Status.CANCELED or (no_wait and not s.final) for s in told) else 1

    async def _look(self, kafka: Kafka, jobs: Sequence[JobId]) -> Watch:
        watch = Watch(kafka.reader, kafka.names, jobs)
        await check_ids(kafka, watch.wanted)
        try:
            with self.out.progress("reading", None) as advance:
                await watch.begin(kafka.partitions, advance)
        except NoJob as exc:
            raise CommandError(f"{exc}. Nothing was canceled") from None
        return watch

    def _tell(self, watch: Watch, asked: set[JobId], owners: Mapping[int, Owner | None]) -> None:
        rows = []
        for job_id, status in watch.states.items():
            detail = None
            if job_id not in asked:
                detail = f"is {status.value} already: that stays"
            elif not status.final:
                detail = _pending(job_id.partition, owners)
            elif status is not Status.CANCELED:
                detail = "it had ended when the cancel came"
            told = {"id": str(job_id), "status": status, "asked": job_id in asked}
            rows.append({**told, "detail": detail})
        if not self.json:
            self.out.table(_COLUMNS, rows)
            return
        for row in rows:
            self.out.json_line(row)


async def _ask(kafka: Kafka, jobs: Sequence[JobId], why: str) -> None:
    """Put the cancels on their topic.

    kill -9: any of them may be in the log, and is carried out. Asking twice does no harm.

    Raises:
        CommandError: Kafka doesn't acknowledge.
    """
    if not jobs:
        return
    who = _who()
    try:
        async with kafka.writer() as writer:
            await writer.write(kafka.names.cancel, [entry(each, who, why) for each in jobs])
    except NotWritten as exc:
        which = f"job {jobs[0]}" if len(jobs) == 1 else f"any of {len(jobs):,} jobs"
        text = f"{exc}: {which} may be canceled all the same. The same command may be given again"
        raise CommandError(text, 1) from None


def _pending(n: int, owners: Mapping[int, Owner | None]) -> str:
    """What is said of a cancel that isn't carried out yet."""
    owner, text = owners.get(n), "the cancel is in the log"
    if n not in owners:  # Kafka didn't tell
        return text
    if owner is None or owner.released:
        return f"{text}; no worker has partition {n} now: the next one does it before it runs jobs"
    who = owner.worker or "its worker"
    return f"{text}; {who}, or who has partition {n} next, does it unless the job ends first"


def _seconds(wait: str) -> float:
    try:
        return parse_duration(wait) / NS_PER_S
    except InvalidDuration as exc:
        raise CommandError(f"--wait: {exc}") from None


def _why(text: str | None) -> str:
    if text is not None and not text.strip():
        raise CommandError("--why is empty: leave it out, or say why")
    if text is not None and len(text) > MAX_WHY_CHARS:
        raise CommandError(f"--why must be text of at most {MAX_WHY_CHARS} characters")
    return _utf8(text or "")


def _who() -> str:
    """Who asks; over HTTP that is a user's name or an address."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container a user may have no name
        user = str(os.getuid())
    return _utf8(f"{user}@{socket.gethostname()}")


def _utf8(text: str) -> str:
    """What comes from a shell may hold bytes that are no text; JSON can't."""
    return text.encode("utf-8", "replace").decode()
