"""``faust -A app tail``: transitions as they happen."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiokafka.errors import KafkaError
from rich.text import Text

from commands.asked import TIMES, parse_at, parse_wanted
from commands.base import CommandError, argument, option
from commands.kafka import Kafka, TopicCommand, check_partitions
from commands.output import STATUS_STYLES, flat
from inspection import told
from inspection.following import Following
from inspection.transitions import Transition
from inspection.wanted import Wanted
from log.topics import counts

POLL_S = 0.1  # between reads that find nothing
AGAIN_S = 1.0  # after Kafka couldn't be read
GROWN_S = 10.0  # between looks for new partitions
_COLUMNS = (("at", 24), ("id", 10), ("status", 9), ("attempt", 7), ("handler", 14), ("worker", 20))


class Tail(TopicCommand):
    """Print transitions as they happen, until Ctrl-C; of all jobs, or of those asked for.

    \b
        $ faust -A app tail --state failed
        $ faust -A app tail 3-1042
        $ faust -A app tail --since "5m ago" --handler mail --json

    They are read from the changelog: each is printed once Kafka has it. With --since those that
    have happened from then on come first.
    """

    arguments = (
        argument("ids", nargs=-1),
        option("--state", "states", multiple=True, help="Only transitions to these states."),
        option("--handler", "handlers", multiple=True, help="Only jobs of these handlers."),
        option("--error", help="Only where the error has this in it, in any case."),
        option("--since", help=f"Begin with what happened at {TIMES}.", metavar="TIME"),
        option("--limit", type=int, help="End after so many.", metavar="N"),
    )

    async def run(
        self, ids: tuple[str, ...], since: str | None, limit: int | None, **asked: Any
    ) -> None:
        """Follow the changelog."""
        wanted = parse_wanted(ids, **asked)
        began = parse_at("--since", since)
        if limit is not None and limit < 1:
            raise CommandError(f"--limit {limit}: must be at least 1")
        async with self.kafka() as kafka:
            check_partitions(kafka, wanted)
            following = Following(kafka.reader, kafka.names.changelog, began)
            await following.begin(wanted.partitions(kafka.partitions))
            if not self.json:
                names = [name.upper().ljust(width) for name, width in _COLUMNS]
                self.out.print(self.out.cut(Text("  ".join([*names, "ERROR"]), style="bold")))
                self.out.flush()
            await self._follow(kafka, following, wanted, limit)

    async def _follow(
        self, kafka: Kafka, following: Following, wanted: Wanted, left: int | None
    ) -> None:
        trouble, looked = False, time.monotonic()
        while left is None or left > 0:
            try:
                if time.monotonic() - looked > GROWN_S:
                    await _look_for_more(kafka, following, wanted)
                    looked = time.monotonic()
                found, more = await following.step()
                if trouble:
                    self.out.note("Kafka answers again")
                trouble = False
            except (KafkaError, TimeoutError) as exc:
                if not trouble:
                    self.out.warn(f"Kafka can't be read now ({exc}); it is tried again")
                trouble = True
                await asyncio.sleep(AGAIN_S)
                continue
            some = [each for each in found if wanted.matches(each.job_id, each.job)][:left]
            self._print(some)
            left = None if left is None else left - len(some)
            if not more:
                await asyncio.sleep(POLL_S)

    def _print(self, found: list[Transition]) -> None:
        if not found:
            return
        if self.json:
            for each in found:
                self.out.json_line(told.event(each))
        else:
            self.out.print(*map(self._line, found))
        self.out.flush()

    def _line(self, of: Transition) -> Text:
        event = told.event(of)
        event["attempt"] = f"{of.job.attempt}/{of.job.max_attempts}"
        line = Text()
        for name, width in _COLUMNS:
            style = STATUS_STYLES.get(of.job.status, "") if name == "status" else ""
            line.append(flat(event[name]).ljust(width) + "  ", style)
        line.append(flat(of.job.error))
        return self.out.cut(line)


async def _look_for_more(kafka: Kafka, following: Following, wanted: Wanted) -> None:
    existing = await counts(kafka.admin, kafka.names)
    number = existing.get(kafka.names.changelog, 0)
    await following.begin(wanted.partitions(number), new=True)
