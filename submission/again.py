"""Which jobs of the log are to be run again, as new ones: each once in one named replay.

The log is the book here, too. A replay stands behind its original, in the same partition, and its
headers say whose it is and, as its idempotency key, of which replay by name. So what a replay has
sent, before a kill -9 too, is found by reading on from the originals; and of two that get there all
the same, intake runs the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from inspection.chosen import Chosen
from inspection.slices import Advance, Extent, no_one, scan
from jobs.errors import InvalidId
from jobs.labels import Labels
from jobs.model import JobId, Status
from jobs.state import REPEATED
from log.reader import LogReader, Record


class Rules(NamedTuple):
    """``name``: of the replay. ``states``: of what is run again. ``again``: also what another
    replay has run again already."""

    name: str
    states: frozenset[Status]
    again: bool = False


class Replays:
    """The replays in one partition, by their originals."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}  # original → its last replay
        self._keys: dict[str, set[int]] = {}  # name → originals
        self._made: dict[str, set[int]] = {}  # name → its replays

    def take(self, partition: int, records: Iterable[Record]) -> None:
        """Look at the next records."""
        for record in records:
            labels = Labels.of(record.headers, record.value)
            if labels.replay_of is None:
                continue
            try:
                origin = JobId.parse(labels.replay_of)
            except InvalidId:
                continue
            if origin.partition == partition:
                self._last[origin.offset] = record.offset
                if labels.key is not None:
                    self._keys.setdefault(labels.key, set()).add(origin.offset)
                    self._made.setdefault(labels.key, set()).add(record.offset)

    def last(self, offset: int) -> int | None:
        """The last replay of a job."""
        return self._last.get(offset)

    def has(self, name: str, offset: int) -> bool:
        """Whether a job was run again under this name."""
        return offset in self._keys.get(name, ())

    def made(self, name: str, offset: int) -> bool:
        """Whether a job is itself one that was run again under this name."""
        return offset in self._made.get(name, ())


async def replays_of(
    reader: LogReader, topic: str, partition: int, extent: Extent, advance: Advance = no_one
) -> Replays:
    """Read the replays of a slice.

    Raises:
        KafkaError: it can't be read.
    """
    found = Replays()
    async for records in scan(reader, topic, partition, extent, advance):
        found.take(partition, (record for record in records if record.headers))
    return found


BEFORE = "replayed before under this name"
OWN = "it is itself a replay under this name (another --name runs it again)"


def why_not(job: Chosen, replays: Replays, rules: Rules) -> str | None:
    """Why a job isn't run again; ``None``: it is."""
    offset = job.job_id.offset
    if replays.has(rules.name, offset):
        return BEFORE
    if replays.made(rules.name, offset):
        return OWN
    if job.status is None:
        return "how it ended has left the changelog (--dead has letters of what has failed)"
    if not job.status.final:
        return f"it is {job.status.value}, and going to run"
    if job.status not in rules.states:
        asked = " or ".join(sorted(status.value for status in rules.states))
        return f"it is {job.status.value}, not {asked}"
    if job.row is not None and (job.row.error or "").startswith(REPEATED):
        return "it repeats another job, by its idempotency key"
    last = replays.last(offset)
    if last is not None and not rules.again:
        return "another replay has run it again (--again takes it, too)"
    return None
