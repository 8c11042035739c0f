"""``faust -A app reset``: a range of jobs once more on purpose, or all from the beginning."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections import Counter

import click

from commands import replaying
from commands.asked import parse_ids
from commands.base import CommandError, argument, option
from commands.kafka import Kafka, TopicCommand
from commands.slices import slices_of
from inspection.folds import folds
from inspection.owner import owner_of
from inspection.slices import extents, length
from inspection.wanted import Wanted
from jobs.model import Status
from jobs.registry import HANDLERS
from log.renewal import delete_group, delete_topics, make_topics, members, setups
from log.topics import EMBEDDED_CLUSTER_ID, TopicPlan
from submission.again import Rules
from submission.plan import Plan, plan_jobs

_ENDED = frozenset(status for status in Status if status.final)


class Reset(TopicCommand):
    """Run all jobs of a range again, or, with no range, delete everything and begin afresh.

    \b
        $ faust -A app reset 3-1000..3-2000
        $ faust -A app reset --dry-run
        $ faust -A app reset --yes

    With a range, jobs that are done run again, too, as new jobs: all that their handlers do is
    done once more. With none, all topics of the app and its group are deleted and made anew, as
    they were set up: all jobs, results, histories and dead letters are gone, and ids begin at 0.
    That wants all workers to be stopped. It asks before it does anything.
    """

    arguments = (
        argument("ids", nargs=-1),
        option("--dry-run", is_flag=True, help="Say what it would do."),
        option("--name", help="Of the replay of a range: the same name goes on with it."),
        option("--yes", is_flag=True, help="Don't ask."),
    )

    async def run(self, ids: tuple[str, ...], dry_run: bool, name: str | None, yes: bool) -> None:
        """Do it, if it is meant."""
        if not ids and name is not None:
            raise CommandError("--name goes with a range of ids")
        ranges = parse_ids(ids)
        async with self.kafka(needed=None if ids else (), agreed=bool(ids)) as kafka:
            if ranges:
                await self._range(kafka, Wanted(ranges), name, dry_run=dry_run, yes=yes)
            else:
                await self._all(kafka, dry_run=dry_run, yes=yes)

    async def _range(
        self, kafka: Kafka, wanted: Wanted, name: str | None, *, dry_run: bool, yes: bool
    ) -> None:
        slices = await slices_of(kafka, wanted)
        plan = Plan(Rules(replaying.name_of(name, "reset"), _ENDED, again=True), HANDLERS)
        with self.out.progress("looking for them", length(slices)) as advance:
            await plan_jobs(plan, kafka.reader, kafka.names, slices, wanted, advance)
        began, sent = time.monotonic(), None if dry_run else 0
        if plan.count and not dry_run:
            what = (
                f"Run {plan.count:,} jobs again, those that are done, too, as new jobs named "
                f"{plan.rules.name}"
            )
            replaying.confirm(self.out, what, yes=yes)
            began = time.monotonic()
            sent = await replaying.send(kafka, self.out, plan, None, ids=False)
        replaying.summary(self.out, plan, sent, time.monotonic() - began, lines=False)

    async def _all(self, kafka: Kafka, *, dry_run: bool, yes: bool) -> None:
        topics = [name for name in kafka.names.all() if name in kafka.existing]
        group = kafka.settings.app_id
        if not topics:
            raise CommandError(
                f"there is no topic of {group} at {kafka.settings.kafka}: nothing to reset"
            )
        await _alone(kafka, group)
        records = {
            name: length(await extents(kafka.reader, name, range(kafka.existing[name])))
            for name in topics
        }
        whole = len(topics) == len(kafka.names.all()) and len({*kafka.existing.values()}) == 1
        lost = await self._lost(kafka) if whole else Counter[str]()
        if not self.json:
            self._tell(kafka, records, lost)
        if not dry_run:
            self._confirm(group, yes=yes)
            await _alone(kafka, group)
            await self._renew(kafka, topics, group)
        if self.json:
            told = {"reset": not dry_run, "group": group, "records": records, "jobs": dict(lost)}
            self.out.json(told)

    async def _renew(self, kafka: Kafka, topics: list[str], group: str) -> None:
        """kill -9: some are new and some aren't; once more makes all new. The jobs go first and
        the changelog last, so that no worker finds jobs of which it doesn't know that they ran."""
        s, made = kafka.settings, await setups(kafka.admin, topics)
        await delete_group(kafka.admin, group)
        for topic in topics:  # one at a time: a kill leaves no more than one that isn't there
            await delete_topics(kafka.admin, [topic])
            was = made[topic]
            plan = TopicPlan(
                was.partitions, was.copies, round(s.history_s * 1000), s.max_record_bytes
            )
            # What was set by hand stays; one broker doesn't tell it, so ours comes first.
            configs = {**plan.configs(kafka.names, topic), **was.configs}
            await make_topics(kafka.admin, {topic: dataclasses.replace(was, configs=configs)})
            self.out.note(f"topic {topic} is new: {made[topic].partitions} partitions")
        if not self.json:
            self.out.line(f"{group} begins afresh; its workers may be started")

    async def _lost(self, kafka: Kafka) -> Counter[str]:
        """Jobs by state; those that nobody has read yet are waiting."""
        reader, numbers = kafka.reader, range(kafka.existing[kafka.names.jobs])
        there = await extents(reader, kafka.names.jobs, numbers)
        parts = await extents(reader, kafka.names.changelog, numbers)
        found: Counter[str] = Counter()
        with self.out.progress("counting", length(parts)) as advance:
            async for folded in folds(
                reader, kafka.names.changelog, parts, wants=lambda *_: False, advance=advance
            ):
                found.update({s.value: n for s, n in folded.briefs.counts().items()})
                start, stop = there[folded.partition]
                found[Status.WAITING.value] += max(0, stop - folded.intake(start))
        return +found

    def _tell(self, kafka: Kafka, records: dict[str, int], lost: Counter[str]) -> None:
        self.out.table(
            ("topic", "records"), [{"topic": n, "records": f"{c:,}"} for n, c in records.items()]
        )
        jobs = ", ".join(f"{count:,} {state}" for state, count in sorted(lost.items())) or "none"
        self.out.line(
            f"All of this at {kafka.settings.kafka} would be deleted, and made anew with nothing "
            f"in it. Jobs that can be asked for: {jobs}. Nothing brings them back."
        )
        unfinished = lost[Status.WAITING.value] + lost[Status.EXECUTING.value]
        if unfinished:
            self.out.line(f"{unfinished:,} of them have not ended, and never will.", "bold red")

    def _confirm(self, group: str, *, yes: bool) -> None:
        if yes:
            return
        if not sys.stdin.isatty():
            raise CommandError(
                f"all jobs of {group} would be deleted, and there is nobody to ask: --yes says "
                "that it is meant"
            )
        try:
            said = click.prompt(
                f"Type {group} to delete all of it", default="", show_default=False, err=True
            )
        except click.Abort:
            said = ""
        if said != group:
            raise CommandError("nothing was done")


async def _alone(kafka: Kafka, group: str) -> None:
    """See to it that no worker is there.

    Raises:
        CommandError: one is.
    """
    count = await members(kafka.admin, group)
    if not count:
        return
    hint = "one that was killed counts until its session is over"
    about = await kafka.admin.describe_cluster()
    if about.get("cluster_id") == EMBEDDED_CLUSTER_ID:
        # It counts those that are gone until another one comes; the log says who has let go.
        if await _all_released(kafka):
            return
        hint = "one that was killed counts until another worker comes, and stops"
    word = "member" if count == 1 else "members"
    raise CommandError(f"group {group} has {count} {word}: stop all workers first ({hint})")


async def _all_released(kafka: Kafka) -> bool:
    changelog = kafka.names.changelog
    numbers = range(kafka.existing.get(changelog, 0))
    for n, extent in (await extents(kafka.reader, changelog, numbers)).items():
        owner = await owner_of(kafka.reader, changelog, n, extent)
        if owner is not None and not owner.released:
            return False
    return True
