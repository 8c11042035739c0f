"""Whether a journal is of this log: a topic that was made again has none of its records."""

from __future__ import annotations

from jobs.errors import InvalidId
from jobs.model import JobId
from log.reader import LogReader
from submission.earlier import line_of
from submission.journal import Journal, JournalError, by_partition


async def check(journal: Journal, reader: LogReader, topic: str, cluster: str) -> None:
    """Hold a journal against the log that it would go on with.

    Raises:
        JournalError: it is of another one.
        KafkaError: the log can't be read.
    """
    head, step = journal.head, journal.step
    if head is None:
        return
    if (head.topic, head.cluster) != (topic, cluster):
        raise JournalError(
            f"{journal.path} says that this was submitted to topic {head.topic} of the Kafka "
            f"{head.cluster}, not to {topic} of {cluster}: name another journal by --journal"
        )
    places = by_partition(step.places)
    ends = await reader.ends(topic, sorted(places))
    same = all(ends[number] >= place for number, place in places.items())
    if same and step.last:
        try:
            record = await reader.record(topic, *JobId.parse(step.last))
        except InvalidId as exc:
            raise JournalError(f"{journal.path} can't be read: {exc}") from None
        same = record is None or line_of(record, head.name) is not None  # none: it has expired
    if not same:
        raise JournalError(
            f"topic {topic} was made again since {journal.path} was written, and has none of these "
            "jobs: --again submits all lines anew"
        )
