"""``faust -A app topics``: the topics of an app, made, checked and grown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commands.base import CommandError
from commands.kafka import Kafka, TopicCommand, option
from inspection.setup import problems
from inspection.topics import LAGGING, Overview, Topic
from jobs.durations import NS_PER_MS, format_duration
from log.growth import grow
from log.topics import TopicPlan, prepare

_COLUMNS = ("topic", "partitions", "copies", "records", "size", "configuration")


class Topics(TopicCommand):
    """List the app's topics: partitions, configuration, sizes, and how far the group is.

    \b
        $ faust -A app topics
        $ JOBS_REPLICATION=3 faust -A app topics --create
        $ faust -A app topics --check && echo "workers can start"
        $ faust -A app topics --grow 16

    LAG is how many records the group hasn't committed: "-" where it has committed no place, or
    the broker doesn't tell. --check looks for what keeps workers from starting or may lose jobs,
    and exits with 1 if it finds any. --grow adds partitions to all topics together, also while
    workers run: they share the new ones out within a few seconds, and ids of before stay right.
    Partitions can't be taken away again.
    """

    arguments = (
        option("--create", is_flag=True, help="Make those that are missing, as a worker does."),
        option("--check", is_flag=True, help="Tell what is wrong; exit code 1 if anything is."),
        option("--grow", type=int, metavar="N", help="Give each topic N partitions."),
    )

    async def run(self, create: bool, check: bool, grow: int | None) -> int:
        """Make or grow, then list or check."""
        if create:
            await self._create()
        if grow is not None:
            await self._grow(grow)
        async with self.kafka(needed=(), agreed=False) as kafka:
            group = kafka.settings.app_id
            found = await Overview.read(kafka.admin, kafka.reader, kafka.names, group)
            if not found.topics and not check:
                raise CommandError(
                    f"there is no topic of ours at {kafka.settings.kafka} ({kafka.names.jobs} and "
                    "others): `faust -A app topics --create` makes them"
                )
            wrong = list(
                problems(
                    found,
                    kafka.names,
                    max_record_bytes=kafka.settings.max_record_bytes,
                    history_ms=round(kafka.settings.history_s * 1000),
                )
            )
            if check:
                return self._checked(wrong)
            self._listed(kafka, found)
            for problem in wrong:
                self.out.warn(problem)
        return 0

    async def _create(self) -> None:
        settings = self.settings
        async with self.kafka(needed=()) as kafka:
            plan = TopicPlan(
                settings.partitions,
                settings.replication,
                round(settings.history_s * 1000),
                settings.max_record_bytes,
            )
            await prepare(settings.kafka, kafka.names, plan, kafka.access)
            made = [name for name in kafka.names.all() if name not in kafka.existing]
            self.out.note(f"made: {', '.join(made)}" if made else "all topics are there already")

    async def _grow(self, partitions: int) -> None:
        async with self.kafka(agreed=False) as kafka:
            most = max(kafka.existing.values())
            if partitions < most:
                raise CommandError(
                    f"--grow {partitions}: there are {most} partitions, and none can be taken away"
                )
            grown = await grow(kafka.admin, kafka.names, kafka.existing, partitions)
        if not grown:
            self.out.note(f"all topics have {partitions} partitions already")
            return
        self.out.note(
            f"all topics have {partitions} partitions now. Workers share the new ones out within "
            "half a minute. New jobs go to all of them; those that are there stay where they are, "
            "and so do their ids. An Idempotency-Key may belong to another partition now: its job "
            "of before isn't found any more."
        )

    def _checked(self, problems: list[str]) -> int:
        if self.json:
            self.out.json({"ok": not problems, "problems": problems})
        else:
            for problem in problems:
                self.out.line(problem)
            if not problems:
                self.out.line("all topics are as they should be", style="green")
        return 1 if problems else 0

    def _listed(self, kafka: Kafka, found: Overview) -> None:
        read = {getattr(kafka.names, each): each for each in LAGGING}
        if self.json:
            self.out.json(
                {
                    "topics": [_told(topic, found.lag.get(topic.name)) for topic in found.topics],
                    "group": kafka.settings.app_id,
                }
            )
            return
        self.out.table(_COLUMNS, [_row(topic) for topic in found.topics])
        self.out.line()
        columns = ["partition", "start", "end"]
        columns += [f"{each} lag" for name, each in read.items() if name in found.lag]
        jobs = next((t for t in found.topics if t.name == kafka.names.jobs), None)
        self.out.table(
            columns,
            [
                {
                    "partition": p,
                    "start": jobs.starts.get(p) if jobs else None,
                    "end": jobs.ends.get(p) if jobs else None,
                    **{
                        f"{each} lag": found.lag.get(name, {}).get(p) for name, each in read.items()
                    },
                }
                for p in range(max(topic.partitions for topic in found.topics))
            ],
            title=f"group {kafka.settings.app_id}",
        )


def _row(topic: Topic) -> dict[str, Any]:
    told = topic.config.items()
    return {
        "topic": topic.name,
        "partitions": topic.partitions,
        "copies": topic.copies,
        "records": topic.records,
        "size": None if topic.bytes is None else human_bytes(topic.bytes),
        "configuration": " ".join(f"{key}={_human(key, value)}" for key, value in told),
    }


def _told(topic: Topic, lag: Mapping[int, int] | None) -> dict[str, Any]:
    return {
        "topic": topic.name,
        "copies": topic.copies,
        "records": topic.records,
        "bytes": topic.bytes,
        "configuration": topic.config,
        "partitions": [
            {
                "partition": p,
                "start": topic.starts.get(p),
                "end": topic.ends.get(p),
                "leader": leader if leader >= 0 else None,
                **({} if lag is None else {"lag": lag.get(p)}),
            }
            for p, leader in sorted(topic.leaders.items())
        ],
    }


def _human(key: str, value: str) -> str:
    if not key.endswith(".ms") or not value.isdigit() or value == "0":
        return value  # -1 is Kafka's "for ever"
    return format_duration(int(value) * NS_PER_MS)


def human_bytes(count: int) -> str:
    """``0 B``, ``1.5 kB``, ``20 MB``."""
    size, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.3g} {units[0]}"
