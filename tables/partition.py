"""One partition's rows, as its owner holds them: a lease and the data under it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from jobs.model import Job
from tables.fold import SEQ_HEADER, Fence, Fold
from tables.marks import Marks, Swept
from tables.rows import Rows

logger = logging.getLogger(__name__)


RECENT = 1_000  # about a job that has just ended is asked more often than about all others

Ended = Sequence[tuple[int, int]]
"""(finished_at, offset) of final rows."""


@dataclass(slots=True)
class Unsaved:
    """What is durable in the changelog and not yet in the cache: all rows (``whole``, where the
    cache has none), then what changed, by offset (``None``: removed), and marks by key."""

    whole: Mapping[int, bytes] | None = None
    rows: dict[int, bytes | None] = field(default_factory=dict)
    marks: dict[bytes, bytes] = field(default_factory=dict)


class PartitionLost(Exception):
    """The partition is no longer ours; whoever owns it now goes on with its jobs."""


class Partition:
    """What an owner knows of one partition.

    ``rows`` is what readers see: durable rows by offset. ``head`` is a job's newest row,
    also one that Kafka has not acknowledged yet; transitions start from it.
    """

    def __init__(self, number: int, fence: Fence) -> None:
        self.number = number
        self.send_under(fence)
        self.fence = fence
        self.last_seq = 0  # the number of our newest record before the cursor
        self.alive = True
        self.rows = Rows()
        self.marks = Marks()  # ours, also those that Kafka hasn't acknowledged yet
        self.ended: deque[tuple[int, int]] = deque()  # as ``Ended``
        self.cursor = 0  # the changelog's next place, as far as we have seen it
        self.places: dict[int, int] = {}  # of unfinished jobs' newest durable rows in the changelog
        # The same, of the ``RECENT`` jobs that ended last.
        self.ended_at: OrderedDict[int, int] = OrderedDict()
        self.owned: tuple[int, int] | None = None  # place and time of our last ownership record
        self.released = False  # whether that one says that we let go
        self.owed: set[bytes] = set()  # keys whose last record is void, to be written again
        self.unsaved: Unsaved | None = None  # for the cache, if there is one
        self.on_lost: Callable[[Partition, str], None] | None = None
        self.on_foreign: Callable[[Partition], None] | None = None
        self._keys: dict[str, int] = {}  # idempotency key → the first row that has it
        self._later: dict[str, set[int]] = {}  # others with this key, canceled before intake came
        self._heads: dict[int, Job | None] = {}
        self._landing: dict[int, asyncio.Event] = {}
        self._watched: dict[int, set[asyncio.Future[None]]] = {}
        self._then: list[Callable[[], None]] = []
        self._held_back: list[tuple[int, Job | None]] | None = None
        self._trusted = asyncio.Event()  # set while nothing is held back
        self._trusted.set()
        self._writing = 0
        self._alone = asyncio.Lock()
        self._open = asyncio.Event()
        self._open.set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def fence(self) -> Fence:
        """What counts of us; we have seen its ownership record in the log."""
        return self._fence

    @fence.setter
    def fence(self, fence: Fence) -> None:
        self._fence = fence

    def send_under(self, fence: Fence) -> None:
        """A fence is on its way: what is written from now on comes behind its ownership record,
        which has the number 0."""
        self.sent_fence = fence
        self._header = fence.headers()[0]
        self._seq = 0

    def next_headers(self) -> list[tuple[str, bytes]]:
        """The headers of the next record that we write: its fence, and its number under it. It is
        put into line before anybody asks for the next one's."""
        self._seq += 1
        return [self._header, (SEQ_HEADER, b"%d" % self._seq)]

    @property
    def swept(self) -> Swept:
        """Up to where final rows have been removed."""
        return self.marks.swept

    @property
    def settled(self) -> bool:
        """Whether what we hold is what the changelog says up to the cursor, for certain: nobody
        changes the fence, nobody's records are in question, and none are left to be answered."""
        return self.alive and self._held_back is None and not self._alone.locked() and not self.owed

    def head(self, offset: int) -> Job | None:
        """The job's newest row, durable or on its way; ``None`` if it has none."""
        if offset in self._heads:
            return self._heads[offset]
        return self.rows.get(offset)

    def unheard_of(self, offset: int) -> bool:
        """Whether a job has no row, and has had none that was removed."""
        return (
            offset not in self._heads
            and offset >= self.marks.swept.next
            and offset not in self.rows
        )

    def before(self, offset: int) -> int | None:
        """The place of the job's newest row in the changelog; ``None``: it isn't known (yet)."""
        return None if offset in self._heads else self.places.get(offset)

    def placed(self, offset: int, job: Job | None, place: int) -> None:
        """The job's newest row that is durable stands at this place of the changelog."""
        if job is not None and not job.status.final:
            self.places[offset] = place
            return
        self.places.pop(offset, None)
        self.ended_at.pop(offset, None)
        if job is not None:
            self.ended_at[offset] = place
            if len(self.ended_at) > RECENT:
                self.ended_at.popitem(last=False)

    def holder(self, key: str) -> tuple[int, Job] | None:
        """The job that has an idempotency key, as ``Job.scoped_key`` gives it: its offset and its
        newest row. It has the key until the removal of its row is durable."""
        offset = self._keys.get(key)
        if offset is None:
            return None
        row = self.head(offset) or self.rows.get(offset)
        return None if row is None or row.scoped_key != key else (offset, row)

    def claim(self, offset: int, job: Job) -> None:
        """A job that has a row has its key, unless an earlier one of the log has it."""
        key = job.scoped_key
        if key is None:
            return
        held = self._keys.setdefault(key, offset)
        if held != offset:
            self._keys[key] = min(held, offset)
            self._later.setdefault(key, set()).add(max(held, offset))

    def _release(self, offset: int, job: Job) -> None:
        key = job.scoped_key
        if key is None:
            return
        later = self._later.get(key, set())
        later.discard(offset)
        if self._keys.get(key) == offset:
            if later:
                self._keys[key] = min(later)
                later.discard(min(later))
            else:
                del self._keys[key]
        if not later:
            self._later.pop(key, None)

    def was_swept(self, offset: int, timestamp: int) -> bool:
        """Whether a job's final row has been removed; ``timestamp`` is its record's. Only
        for a job that has no row."""
        return offset < self.swept.next and timestamp <= self.swept.at

    def sent(self, offset: int, job: Job | None) -> None:
        """A row is on its way."""
        # Jobs with keys are the few: where there are none, nothing before has to be looked for.
        before = self.head(offset) if self._keys else None
        self._heads[offset] = job
        if job is not None:
            if before is not None and before.key is not None and before.key != job.key:
                self._release(offset, before)  # a topic that was made again
            if job.key is not None:
                self.claim(offset, job)

    async def landed(self, offset: int) -> None:
        """Wait until the job's newest row is one that readers see.

        Raises:
            PartitionLost: the lease ended before.
        """
        while self.alive and offset in self._heads:
            await self._landing.setdefault(offset, asyncio.Event()).wait()
        self.check()

    def acknowledged(self, offset: int, job: Job | None, place: int) -> None:
        """Kafka has acknowledged a row, at this place of the changelog."""
        if place == self.cursor and self._held_back is None and self.alive:
            self.cursor = place + 1  # as ``seen`` does it, nearly always
            self.last_seq += 1
        else:
            self.seen(place)
        self.placed(offset, job, place)
        self.durable(offset, job)

    def durable(self, offset: int, job: Job | None) -> None:
        """A row is acknowledged: now readers see it, unless the lease is in doubt, or has ended:
        then it may be void, and a list that is being put together may look at our rows still."""
        if not self.alive:
            return
        if self._held_back is not None:
            self._held_back.append((offset, job))
            return
        heads = self._heads
        if offset in heads and heads[offset] is job:
            del heads[offset]
            if self._landing:
                self._land(offset)
        if job is None:
            gone = self.rows.pop(offset, None)
            if gone is not None:
                self._release(offset, gone)
        else:
            self.rows[offset] = job
            if job.status.final:
                self.ended.append((job.finished_at or 0, offset))
        if self._watched:
            self._tell(offset)

    @contextmanager
    def watching(self, offset: int) -> Iterator[asyncio.Future[None]]:
        """A future that is done when readers see another row of the job, or the lease has ended.
        Look at the row within: what happens from here on is told."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self.alive:
            told.set_result(None)
        self._watched.setdefault(offset, set()).add(told)
        try:
            yield told
        finally:
            watchers = self._watched.get(offset)
            if watchers is not None:
                watchers.discard(told)
                if not watchers:
                    del self._watched[offset]

    def wake(self) -> None:
        """Tell everybody who watches a row to look."""
        for offset in list(self._watched):
            self._tell(offset)

    def _tell(self, offset: int) -> None:
        for told in self._watched.pop(offset, ()):
            if not told.done():
                told.set_result(None)

    def recovered(self, rows: Sequence[tuple[int, Job | bytes]], ended: Ended = ()) -> None:
        """Fill an empty partition with what its changelog says. Final rows may be bytes; those
        are named in ``ended``."""
        self.rows.fill(rows)
        decoded = [
            (row.finished_at or 0, offset)
            for offset, row in rows
            if not isinstance(row, bytes) and row.status.final
        ]
        self.ended.extend(sorted([*ended, *decoded]))

    def seen(self, place: int) -> None:
        """One of our own records got this place of the changelog.

        Our acknowledgements come in the order of the log, so a place that was left out
        holds somebody else's record: of a worker that still believes it is the owner, or of
        the one that is now; or a copy of one of ours. Until it is known which, our rows are not
        shown: they may be void.
        """
        if self._held_back is not None:
            return  # whoever looks after it reads on from the cursor, to the end
        if not self.alive:
            return  # late: nobody reads our rows any more, and nobody would end a doubt
        if place == self.cursor:
            self.cursor = place + 1
            self.last_seq += 1
        if place < self.cursor:
            return
        self._held_back = []
        self._trusted.clear()
        if self.on_foreign is not None:
            self.on_foreign(self)

    @property
    def open(self) -> bool:
        """Whether nobody has the partition for himself."""
        return self._open.is_set()

    async def opened(self) -> None:
        """Wait until nobody has."""
        await self._open.wait()

    def begin(self) -> None:
        """Begin to write rows, while it is ``open``; ``end`` ends it."""
        if not self._writing:
            self._quiet.clear()
        self._writing += 1

    def end(self) -> None:
        """These rows are settled, or nobody waits for them any more."""
        self._writing -= 1
        if not self._writing:
            self._quiet.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Have the partition's changelog for oneself: all rows that were sent are settled, and
        new ones wait. So a fence changes between two rows, and never under one."""
        async with self._alone:
            self._open.clear()
            try:
                await self._quiet.wait()
                yield
            finally:
                self._open.set()

    def read(self, fold: Fold) -> None:
        """The changelog has been read on, and we are its owner still."""
        self.cursor = max(self.cursor, fold.next)
        # Higher than our own last one if somebody forges records: rows behind them would be void.
        self.last_seq, self._seq = fold.seq, max(self._seq, fold.seq)
        if fold.owned is not None:
            self.owned, self.released = fold.owned, fold.released
        self.trusted()

    def trusted(self) -> None:
        """What looked like another owner was none: show what was held back."""
        held, self._held_back = self._held_back, None
        for offset, job in held or ():
            self.durable(offset, job)
        self._trust()

    @property
    def doubted(self) -> bool:
        """Whether rows that are acknowledged are held back from readers."""
        return not self._trusted.is_set()

    async def shown(self) -> None:
        """Wait until rows that were acknowledged are seen by readers, or the lease has ended."""
        await self._trusted.wait()

    def on_shown(self, then: Callable[[], None]) -> None:
        """Call it when ``shown`` would return."""
        self._then.append(then)

    def _trust(self) -> None:
        self._trusted.set()
        waiting, self._then = self._then, []
        for then in waiting:
            then()

    def lose(self, why: str) -> None:
        """End the lease. Nothing is written under it any more."""
        if self.alive:
            self.alive = False
            for offset in list(self._landing):
                self._land(offset)
            self.wake()
            if why:
                logger.info("partition %d: no longer its owner (%s)", self.number, why)
            if self.on_lost is not None:
                self.on_lost(self, why)
            self._trust()

    def _land(self, offset: int) -> None:
        landing = self._landing.pop(offset, None)
        if landing is not None:
            landing.set()

    def check(self) -> None:
        """Raise unless the lease holds.

        Raises:
            PartitionLost: it doesn't.
        """
        if not self.alive:
            raise PartitionLost(f"partition {self.number} is no longer ours")
