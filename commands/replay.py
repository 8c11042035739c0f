"""``faust -A app replay``: jobs of the log again, as new jobs."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from commands import replaying
from commands.asked import WANTED, parse_wanted
from commands.base import CommandError, argument, option
from commands.kafka import Kafka, TopicCommand
from commands.slices import slices_of
from inspection.slices import EVER, extents, length
from inspection.wanted import Wanted
from jobs.limits import Rate
from jobs.model import Status
from jobs.registry import HANDLERS
from submission.again import Rules
from submission.plan import Plan, plan_jobs, plan_letters

_BY_NAME = frozenset({Status.FAILED, Status.CANCELED})  # what is run again if its id is given
_BY_KIND = frozenset({Status.FAILED})  # and else, if nothing is said


class Replay(TopicCommand):
    """Run jobs of the log again, as new jobs that say replay_of.

    \b
        $ faust -A app replay --state failed --since 1h --dry-run
        $ faust -A app replay --state failed --error "timed out" --rate 10/s
        $ faust -A app replay 3-1000..3-2000 --name mended-1 --yes
        $ faust -A app replay --dead

    With nothing said of states, failed jobs are taken; by id canceled ones, too. A job that was
    replayed before is left out, unless --again is given. Under one --name no job is ever
    replayed twice: give it once more to go on with what was interrupted.
    """

    arguments = (
        argument("ids", nargs=-1),
        *WANTED,
        option("--dead", is_flag=True, help="Take dead letters; the records may be gone."),
        option("--dry-run", is_flag=True, help="Show what it would do."),
        option("--name", help="Of the replay; made up if not given."),
        option("--again", is_flag=True, help="Also what another replay has run again."),
        option("--rate", help="No more than so many: 10/s, 100/m.", metavar="N/s"),
        option("--ids", "print_ids", is_flag=True, help="Print each job's id, and the new one."),
        option("--yes", is_flag=True, help="Don't ask."),
    )

    async def run(
        self,
        ids: tuple[str, ...],
        dead: bool,
        dry_run: bool,
        name: str | None,
        again: bool,
        rate: str | None,
        print_ids: bool,
        yes: bool,
        **given: Any,
    ) -> None:
        """Plan, ask, and do it."""
        wanted = parse_wanted(ids, **given)
        if not wanted and not dead:
            raise CommandError("which jobs? Give ids, --state, --since, --error, or --dead")
        if dead and wanted.statuses:
            raise CommandError("--dead and --state are both given: dead letters are of failed jobs")
        pace = _pace(rate)
        rules = Rules(replaying.name_of(name, "replay"), _states(wanted), again)
        if not wanted.ids and not wanted.statuses and not dead:
            wanted = dataclasses.replace(wanted, statuses=_BY_KIND)
        elif wanted.ids:
            wanted = dataclasses.replace(wanted, statuses=frozenset())  # each is told why not
        listed = replaying.Listed(self.out, every_one=dry_run)
        plan = Plan(rules, HANDLERS, listed.take)
        async with self.kafka() as kafka:
            await (self._letters if dead else self._jobs)(kafka, plan, wanted)
            if dry_run:
                if not self.json:
                    listed.show()
                replaying.summary(self.out, plan, None, 0, lines=True)
                return
            if not plan.count and not plan.skipped:
                raise CommandError("no job is like that: nothing was replayed")
            began, sent = time.monotonic(), 0
            if plan.count:
                what = f"Run {plan.count:,} jobs again, as new jobs named {rules.name}"
                replaying.confirm(self.out, what, yes=yes)
                began = time.monotonic()
                sent = await replaying.send(kafka, self.out, plan, pace, ids=print_ids)
        replaying.summary(self.out, plan, sent, time.monotonic() - began, lines=print_ids)

    async def _jobs(self, kafka: Kafka, plan: Plan, wanted: Wanted) -> None:
        slices = await slices_of(kafka, wanted)
        with self.out.progress("looking for them", length(slices)) as advance:
            await plan_jobs(plan, kafka.reader, kafka.names, slices, wanted, advance)

    async def _letters(self, kafka: Kafka, plan: Plan, wanted: Wanted) -> None:
        numbers = wanted.partitions(kafka.partitions)
        span = wanted.span or EVER
        parts = await extents(kafka.reader, kafka.names.dead, numbers, span)
        with self.out.progress("looking for dead letters", length(parts)) as advance:
            await plan_letters(plan, kafka.reader, kafka.names, parts, wanted, advance)


def _states(wanted: Wanted) -> frozenset[Status]:
    unfinished = [status.value for status in wanted.statuses if not status.final]
    if unfinished:
        raise CommandError(
            f"--state {unfinished[0]}: such jobs are going to run; what has ended can be run again"
        )
    if wanted.statuses:
        return wanted.statuses
    return _BY_NAME if wanted.ids else _BY_KIND


def _pace(rate: str | None) -> Rate | None:
    if rate is None:
        return None
    try:
        return Rate.parse(rate)
    except ValueError as exc:
        raise CommandError(f"--rate: {exc}") from None
