"""Lines become records, each under the key that says which line it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from aiokafka.errors import MessageSizeTooLargeError

from jobs.labels import Labels, partition_of
from jobs.model import JobId
from log.writer import Entry, LogWriter, NotWritten
from submission.earlier import Earlier, key_of
from submission.journal import Journal, Step
from submission.lines import BadLine, Check, Line
from submission.putting import Refused, put

Tell = Callable[[Line, JobId], None]


class Sender:
    """Puts lines on the topic. There is no more than one call's worth on its way at a time."""

    def __init__(
        self, writer: LogWriter, topic: str, partitions: int, name: str, timeout_s: float
    ) -> None:
        self._writer = writer
        self._topic = topic
        self._partitions = partitions
        self._name = name
        self._timeout_s = timeout_s
        self.places: dict[int, int] = {}  # behind what was sent, by partition
        self.last: JobId | None = None  # one that was sent

    async def send(self, lines: Sequence[Line]) -> list[JobId]:
        """Send lines; their ids when Kafka has all of them.

        Raises:
            BadLine: the topic doesn't take it.
            NotWritten: Kafka doesn't acknowledge; any of them may be in the log.
        """
        entries = [self._entry(line) for line in lines]
        try:
            metas = await put(self._writer, self._topic, entries, self._timeout_s)
        except Refused as exc:
            raise self._refused(lines[exc.index], exc.error) from None
        for meta in metas:
            number = meta.partition
            self.places[number] = max(self.places.get(number, 0), meta.offset + 1)
            self.last = JobId(number, meta.offset)
        return [JobId(meta.partition, meta.offset) for meta in metas]

    def _entry(self, line: Line) -> Entry:
        key = key_of(self._name, line.number)
        labels = Labels.made(line.value, key)
        return Entry(partition_of(key, self._partitions), None, line.value, labels.headers())

    def _refused(self, line: Line, error: BaseException) -> Exception:
        if isinstance(error, MessageSizeTooLargeError):
            why = f"topic {self._topic} takes no record of {len(line.value)} bytes"
            return BadLine(line.number, f"{why}: raise its max.message.bytes")
        return NotWritten(f"Kafka refused a record of {self._topic}: {error!r}")


class Submission:
    """One submission: what is in the log already is passed over, and the journal told of steps."""

    def __init__(
        self,
        sender: Sender,
        check: Check,
        earlier: Earlier,
        journal: Journal | None,
        tell: Tell = lambda line, job_id: None,
    ) -> None:
        """``tell`` is called for each job that was sent."""
        self._sender = sender
        self._check = check
        self._earlier = earlier
        self._known = earlier.last
        self._journal = journal
        self._tell = tell
        self._step = Step() if journal is None else journal.step
        self.sent = 0
        self.before = 0  # jobs that were in the log

    async def take(self, lines: Iterable[Line]) -> None:
        """Send the next lines.

        kill -9 before the step is in the journal: any of these lines may be in the log. Who goes
        on reads it behind the step before, and passes over what he finds; what gets there later
        still has the key of a line that he sends himself, and intake runs one of the two.

        Raises:
            BadLine: one can't be a job. Those before it have been sent.
            JournalError: the journal can't be written.
            NotWritten: Kafka doesn't acknowledge.
        """
        todo: list[Line] = []
        last: Line | None = None
        jobs = 0
        bad: BadLine | None = None
        try:
            for line in lines:
                self._check(line)
                there = self._is_there(line)
                last = line
                jobs += line.number > self._step.line
                if there:
                    self.before += 1
                else:
                    todo.append(line)
        except BadLine as exc:
            bad = exc
        if todo:
            ids = await self._sender.send(todo)
            self.sent += len(todo)
            for line, job_id in zip(todo, ids, strict=True):
                self._tell(line, job_id)
        if last is not None:
            self._note(last, jobs)
        if bad is not None:
            raise bad

    def _is_there(self, line: Line) -> bool:
        if line.number <= self._step.line:
            return True
        if not self._earlier.has(line.number):
            return False
        if not self._earlier.same(line.number, line.value):
            raise BadLine(
                line.number,
                "it was submitted before, and was another job then; what has changed needs "
                "another --name",
            )
        return True

    def _note(self, last: Line, jobs: int) -> None:
        if self._journal is None or last.number <= self._step.line:
            return
        places = self._step.places
        if last.number >= self._known:  # else some that follow stand before these places
            places = places | {str(p): at for p, at in self._sender.places.items()}
        sent = self._sender.last
        self._step = Step(
            last.number,
            self._step.jobs + jobs,
            last.digest,
            places,
            self._step.last if sent is None else str(sent),
        )
        self._journal.write(self._step)
