"""``submit`` of many jobs: the file is checked, what is in the log already is looked for, then the
rest is sent."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from commands.base import CommandError
from commands.kafka import Kafka
from commands.output import Output
from jobs.model import JobId
from jobs.registry import HANDLERS
from log.configs import configs_of
from log.writer import NotWritten
from submission import book
from submission.earlier import Earlier, find
from submission.journal import Head, Journal, JournalError, by_partition
from submission.lines import BadLine, Line, Lines, checker
from submission.sending import Sender, Submission
from submission.source import Source

RECORD_BYTES = 1_048_588  # Kafka's own limit, where the broker tells none
_AROUND_BYTES = 1_000  # of a batch of one record, beside its value


@dataclass(frozen=True, slots=True)
class Asked:
    """What ``submit`` was asked for."""

    source: Source
    name: str | None
    journal: str | None
    again: bool
    ids: bool
    any_handler: bool


class Many:
    """One submission of lines."""

    def __init__(self, kafka: Kafka, out: Output, asked: Asked) -> None:
        """Open its journal.

        Raises:
            CommandError: what was asked for doesn't go together.
            JournalError: the journal can't be used.
        """
        self._kafka = kafka
        self._out = out
        self._asked = asked
        self._check = checker(HANDLERS, kafka.settings.max_row_bytes, any_handler=asked.any_handler)
        self._max_bytes = RECORD_BYTES
        self._numbers = range(kafka.partitions)
        self._jobs = 0
        self._journal = self._opened()
        try:
            self._name = self._named()
        except BaseException:
            self.close()
            raise

    async def run(self) -> None:
        """Submit what isn't in the log.

        Raises:
            BadLine: nothing of it was sent.
            CommandError: it ended half-way.
            JournalError: the journal is of something else.
        """
        kafka, source, topic = self._kafka, self._asked.source, self._kafka.names.jobs
        told = (await configs_of(kafka.admin, [topic]))[topic].get("max.message.bytes")
        self._max_bytes = int(told or RECORD_BYTES) - _AROUND_BYTES
        cluster = str((await kafka.admin.describe_cluster()).get("cluster_id"))
        anew = self._asked.again or self._journal is None or self._journal.head is None
        if self._journal is not None and not anew:
            await book.check(self._journal, kafka.reader, topic, cluster)
        if source.size is not None:
            await self._check_all(anew)
        places = await self._places(anew)
        earlier = await self._earlier(places)
        if self._journal is not None and anew:
            by_text = {str(number): place for number, place in places.items()}
            self._journal.begin(Head(self._name, topic, cluster, by_text))
        await self._send(earlier)

    def close(self) -> None:
        """Let the journal go."""
        if self._journal is not None:
            self._journal.close()

    def _opened(self) -> Journal | None:
        asked = self._asked
        if asked.journal is not None:
            return Journal(Path(asked.journal))
        if asked.source.path is None or asked.source.size is None:
            return None
        path = asked.source.path
        try:
            return Journal(path.with_name(path.name + ".submitted"))
        except JournalError as exc:
            if asked.name is None or not isinstance(exc.__context__, PermissionError):
                raise
            self._out.note(f"no journal ({exc}); the log is read from its start instead")
            return None

    def _named(self) -> str:
        asked = self._asked
        head = None if self._journal is None else self._journal.head
        if head is None or asked.again:
            if head is not None and asked.name == head.name:
                raise CommandError(
                    f"--again needs another --name: what is named {head.name} is in the log"
                )
            return asked.name or _made_up(asked.source.path)
        if asked.name not in (None, head.name):
            raise CommandError(
                f"the journal {self._journal and self._journal.path} is of the submission "
                f"{head.name}, not of {asked.name}: leave --name out to go on with it, or begin "
                "another one by --again"
            )
        return head.name

    async def _check_all(self, anew: bool) -> None:
        """Look at each line of a file before the first is sent."""
        source = self._asked.source
        step = None if anew or self._journal is None else self._journal.step
        lines, reached = Lines(self._max_bytes), step is None or step.line == 0
        with self._out.progress("checking", source.size) as advance:
            async for data in source.steps():
                for line in lines.feed(data):
                    self._check(line)
                    self._jobs += 1
                    if step is not None and line.number == step.line:
                        reached = line.digest == step.digest
                advance(len(data))
        if not self._jobs:
            raise CommandError(f"there is no job in {source.path}")
        if step is not None and not reached:
            raise CommandError(
                f"the first {step.line} lines of {source.path} are not those that were submitted "
                "as this; --again submits the file anew, as it is now"
            )

    async def _places(self, anew: bool) -> dict[int, int]:
        """All that the log has of it, and isn't in the journal, stands behind these."""
        reader, topic, numbers = self._kafka.reader, self._kafka.names.jobs, self._numbers
        if self._journal is not None and not anew:
            known = by_partition(self._journal.step.places)
            return {**await reader.starts(topic, numbers), **known}  # some may have been added
        if self._asked.name is not None:
            return await reader.starts(topic, numbers)
        return await reader.ends(topic, numbers)  # a name that nobody has used

    async def _earlier(self, places: dict[int, int]) -> Earlier:
        reader, topic = self._kafka.reader, self._kafka.names.jobs
        ends = await reader.ends(topic, sorted(places))
        total = sum(max(0, ends[number] - place) for number, place in places.items())
        with self._out.progress("looking at what is in the log", total) as advance:
            return await find(reader, topic, self._name, places, advance)

    async def _send(self, earlier: Earlier) -> None:
        kafka, source, began = self._kafka, self._asked.source, time.monotonic()
        lines = Lines(self._max_bytes)
        async with kafka.writer() as writer:
            sender = Sender(
                writer,
                kafka.names.jobs,
                kafka.partitions,
                self._name,
                kafka.settings.write_timeout_s,
            )
            made = Submission(sender, self._check, earlier, self._journal, self._tell)
            try:
                with self._out.progress("submitting", source.size) as advance:
                    async for data in source.steps():
                        await made.take(lines.feed(data))
                        advance(len(data) if source.size is not None else 0)
            except BrokenPipeError:
                self._out.note(f"{counted(made.sent)} submitted; {self._go_on()}")
                raise
            except (BadLine, JournalError, NotWritten, OSError) as exc:
                if isinstance(exc, BadLine) and not made.sent:
                    raise
                text = f"{exc}. {counted(made.sent)} submitted; {self._go_on()}"
                raise CommandError(text, 1) from None
            except asyncio.CancelledError:
                self._out.note(f"interrupted: {counted(made.sent)} submitted; {self._go_on()}")
                raise
        self._summary(made, time.monotonic() - began)

    def _go_on(self) -> str:
        if self._journal is not None or self._asked.name is not None:
            return "the same command goes on, and sends none of them twice"
        return "nobody can go on with a stream that has no --name"

    def _tell(self, line: Line, job_id: JobId) -> None:
        if not self._asked.ids:
            return
        if self._out.as_json:
            self._out.json_line({"line": line.number, "id": str(job_id)})
        else:
            self._out.line(str(job_id))

    def _summary(self, made: Submission, seconds: float) -> None:
        if self._out.as_json:
            told = {"name": self._name, "sent": made.sent, "before": made.before}
            self._out.json_line(told) if self._asked.ids else self._out.json(told)
            return
        if not made.sent and made.before:
            how = "another --name" if self._journal is None else "--again"
            before = f"{counted(made.before)} submitted before, as {self._name}"
            self._out.line(f"{before}, and nothing is left to do; {how} submits all anew")
            return
        speed = f"{made.sent / max(seconds, 0.001):,.0f} a second"
        self._out.line(f"{counted(made.sent)} submitted as {self._name} ({speed})")
        if made.before:
            self._out.line(f"{counted(made.before)} in the log already")


def counted(jobs: int) -> str:
    """A number of jobs, for a sentence."""
    return "1 job was" if jobs == 1 else f"{jobs:,} jobs were"


def _made_up(path: Path | None) -> str:
    """A name that nobody else has."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", "stream" if path is None else path.stem)[:60]
    return f"{stem}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
