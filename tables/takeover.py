"""Taking partitions over: read the changelog to its true end, fence, and only then serve.

In this order:

1. Read the changelog to the end, folding by fence.
2. Write an ownership record under the next fence, and wait for the acknowledgement.
   [kill -9 here: the next owner's fence is higher still; nothing else has happened]
3. Read on, past our own record. If another worker has a higher fence by then, begin
   anew, if the partition is still ours. From here on, whatever a former owner still writes is void.
4. Write again the rows whose last record in the log is void, so that compaction keeps the
   right one.

A partition that stays ours over a rebalance keeps its rows and its running attempts: only what
is new in the changelog is read, to see that nobody else owned it meanwhile. It gets a new fence,
too, which ends the ``released`` mark that the rebalance had set.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from jobs.codec import decode_row, encode_row
from jobs.model import Job
from log.reader import LogReader
from log.writer import Entry, Headers, LogWriter
from tables.cache import Cache
from tables.fold import AGAIN_HEADER, OWNER_KEY, SEQ_HEADER, Fence, Fold, Ownership, row_offset
from tables.marks import is_mark
from tables.partition import Partition, PartitionLost, Unsaved
from tables.places import prev_of, with_place

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are in ownership records: ``worker`` for people, ``instance`` (letters and
    digits, unique for each process) for certain."""

    worker: str
    instance: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A partition that is ours now. ``kept``: it was before, without a break.
    ``orphaned``: its last owner died, instead of letting go, as far as the log says; ``counted``
    is called when what it executed says so."""

    partition: Partition
    kept: bool
    orphaned: bool


class Takeover:
    """Takes partitions over, and lets them go."""

    def __init__(
        self,
        reader: LogReader,
        writer: LogWriter,
        changelog: str,
        identity: Identity,
        cache: Cache,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._changelog = changelog
        self._me = identity
        self._cache = cache
        self._asked: dict[int, int] = {}  # the number of the last fence that we wrote, or tried to
        self._uncounted: set[int] = set()  # whose owner's death isn't in its rows yet

    async def take(self, numbers: Iterable[int], held: Mapping[int, Partition]) -> list[Taken]:
        """Take partitions over. Safe to cancel: nothing is served before it returns.

        Args:
            held: those that we served until now; what is alive of them may be kept.

        Raises:
            NotWritten: Kafka doesn't acknowledge.
            KafkaError: Kafka can't be read.
            PartitionLost: another worker takes one of them at the same time.
        """
        taken = []
        numbers = list(numbers)
        for n in numbers:
            part = held.get(n)
            if part is not None and part.alive and await self._still_ours(part):
                taken.append(Taken(part, kept=True, orphaned=False))
        kept = {t.partition.number for t in taken}
        others = [n for n in numbers if n not in kept]
        fresh = await self._cache.begin(others, self._reader, self._changelog)
        cached = {fold.partition: len(fold.rows) for fold in fresh}
        read = await self._read_on(fresh)
        if self._cache.on and cached:
            logger.info(
                "%d partition%s taken over: %d records read, %d rows from the cache",
                len(cached),
                "" if len(cached) == 1 else "s",
                sum(read[n] for n in cached),
                sum(cached.values()),
            )
        orphaned = {fold.partition: self._died(fold) for fold in fresh}
        # Once our record is there we are the last owner, and another try would know of no death.
        self._uncounted -= orphaned.keys()
        self._uncounted |= {n for n, died in orphaned.items() if died}
        await self._own(fresh)
        for fold in fresh:
            part = _partition(fold)
            while fold.stale:
                part.owed = set(fold.stale)
                await self._rewrite(part)
                # Nobody may have slipped in meanwhile, and nothing void.
                await self._read_on([fold])
                if fold.fence != part.fence:
                    raise PartitionLost(f"partition {fold.partition} has another owner again")
                part.read(fold)
            if self._cache.on:
                part.unsaved = _unsaved(fold, part.places)
            taken.append(Taken(part, kept=False, orphaned=orphaned[fold.partition]))
        return taken

    def counted(self, number: int) -> None:
        """The death of a partition's last owner, if any, is in the rows of what it executed."""
        self._uncounted.discard(number)

    async def release(self, parts: Iterable[Partition], timeout_s: float) -> None:
        """Say that we are alive and let go, so that what runs is not taken for crashed.

        Raises:
            NotWritten: Kafka didn't acknowledge in time; then the next owner will count the
                running attempts as crashed.
        """
        alive = {part.number: part for part in parts if part.alive}
        # Behind a new fence that is on its way, a mark under the one before it would be void.
        entries = [
            self._ownership(n, part.next_headers(), released=True) for n, part in alive.items()
        ]
        for meta in await self._writer.write(self._changelog, entries, timeout_s):
            part = alive[meta.partition]
            part.owned, part.released = (meta.offset, meta.timestamp), True
            part.seen(meta.offset)

    async def keep(self, parts: Iterable[Partition]) -> None:
        """Write to the cache what it doesn't have yet."""
        await self._cache.flush(parts)

    async def mend(self, part: Partition) -> int:
        """Look at records in our changelog that aren't ours, and answer void ones.

        Returns:
            how many were answered by what stands.
        """
        async with part.alone():
            fold = _on_from(part)
            await self._read_on([fold])
            if fold.fence.instance != self._me.instance:
                part.lose("another worker has taken it over")
                return 0
            part.read(fold)
            part.owed |= fold.stale
            return await self._rewrite(part)

    async def _still_ours(self, part: Partition) -> bool:
        """Whether nobody else owned a partition since we last saw its changelog; if so, it is
        under a new fence now."""
        async with part.alone():
            fold = _on_from(part)
            await self._read_on([fold])
            fence = self._next_fence(fold)
            if self._alone_in(fold) and part.alive:
                entry = self._ownership(part.number, _first_headers(fence))
                part.send_under(fence)
                self._asked[part.number] = fence.number
                try:
                    await self._writer.write(self._changelog, [entry])
                    await self._read_on([fold])
                except BaseException:
                    # Whether it is in the log isn't known. If it is, rows under the old fence
                    # are void; if not, another worker may own the partition meanwhile, and
                    # rows under the new one could count, though we have not read his.
                    part.lose("its new fence may not be in the log")
                    raise
            # Another one may have owned it between the two reads, under a fence with our number and
            # a smaller instance: then ours counts, and we have not read his rows.
            if fold.fence != fence or not self._alone_in(fold) or not part.alive:
                part.lose("another worker owned it meanwhile")
                return False
            # Not before: what we show until then may be older than what another one has shown.
            part.fence = fence
            part.read(fold)
            part.owed |= fold.stale
            await self._rewrite(part)
            return True

    def _alone_in(self, fold: Fold) -> bool:
        """Whether nobody but us has owned a partition in what was read."""
        return fold.fence.instance == self._me.instance and fold.owners <= {self._me.instance}

    async def _own(self, folds: Sequence[Fold]) -> None:
        wanted = {fold.partition: self._next_fence(fold) for fold in folds}
        self._asked |= {n: fence.number for n, fence in wanted.items()}
        await self._writer.write(
            self._changelog,
            [self._ownership(n, _first_headers(fence)) for n, fence in wanted.items()],
        )
        await self._read_on(folds)
        for fold in folds:
            # Not tried again here: the other one may be the owner, and two that do could go on
            # for ever. The caller looks first whether it is still ours.
            if fold.fence != wanted[fold.partition]:
                raise PartitionLost(f"another worker takes partition {fold.partition}, too")

    def _next_fence(self, fold: Fold) -> Fence:
        """Higher than all in the log, and none that we have written under before: records under it
        are numbered from the first, and those of a failed try may come late."""
        return Fence(
            max(fold.fence.number, self._asked.get(fold.partition, 0)) + 1, self._me.instance
        )

    def _died(self, fold: Fold) -> bool:
        """Whether the last owner died: it has not let go, and it isn't us (we lost the lease
        when Kafka didn't answer, and live). If it is, whether one before us did, and we were
        interrupted in taking over from it."""
        if fold.fence.instance == self._me.instance:
            return fold.partition in self._uncounted
        return not fold.released

    async def _read_on(self, folds: Sequence[Fold]) -> Counter[int]:
        """Read to the true end; how many records were read, by partition."""
        read: Counter[int] = Counter()
        by_partition = {fold.partition: fold for fold in folds}
        starts = {fold.partition: fold.next for fold in folds}
        async for step in self._reader.scan(self._changelog, starts):
            for n, part in step.items():
                fold = by_partition[n]
                fold.apply_all(part.records)
                fold.next = part.next
                read[n] += len(part.records)
        return read

    async def _rewrite(self, part: Partition) -> int:
        """Write once more, behind void records, what stands under their keys; how many. Those
        that Kafka doesn't take are owed still, and the next one who looks writes them."""
        keys = sorted(part.owed)
        entries = [self._as_it_stands(part, key) for key in keys]
        if entries:
            logger.warning(
                "partition %d: %d records are void, of a former owner, copies that came late, or "
                "not of a worker; what stands is written again",
                part.number,
                len(entries),
            )
            for key, meta in zip(
                keys, await self._writer.write(self._changelog, entries), strict=True
            ):
                if key == OWNER_KEY:
                    part.owned = (meta.offset, meta.timestamp)
                rewritten = row_offset(key, part.number)
                if rewritten is not None and rewritten in part.places:
                    part.places[rewritten] = meta.offset
                part.seen(meta.offset)
            part.owed.difference_update(keys)
        return len(entries)

    def _as_it_stands(self, part: Partition, key: bytes) -> Entry:
        if key == OWNER_KEY:
            return self._ownership(part.number, part.next_headers(), part.released)
        if is_mark(key):
            mark = part.marks.get(key)
            value = None if mark is None else msgspec.json.encode(mark)
        else:
            offset = row_offset(key, part.number) or 0
            row = part.head(offset)
            value = None if row is None else encode_row(row)
            headers = [*part.next_headers(), (AGAIN_HEADER, b""), *prev_of(part, offset)]
            return Entry(part.number, key, value, headers)
        return Entry(part.number, key, value, part.next_headers())

    def _ownership(self, number: int, headers: Headers, released: bool = False) -> Entry:
        value = msgspec.json.encode(Ownership(self._me.worker, released))
        return Entry(number, OWNER_KEY, value, headers)


def _first_headers(fence: Fence) -> Headers:
    return [*fence.headers(), (SEQ_HEADER, b"0")]


def _on_from(part: Partition) -> Fold:
    """For what is new in the changelog behind what we have seen of it."""
    return Fold(part.number, fence=part.fence, next=part.cursor, seq=part.last_seq)


def _partition(fold: Fold) -> Partition:
    part = Partition(fold.partition, fold.fence)
    part.read(fold)
    part.marks = fold.marks
    rows: list[tuple[int, Job | bytes]] = []
    ended: list[tuple[int, int]] = []
    unreadable: list[int] = []
    for offset, value in fold.rows.items():
        try:
            job = decode_row(value)  # all of them, so that none is found to be unreadable later
        except msgspec.DecodeError as exc:
            logger.error(
                "job %d-%d: its row can't be read (%s); it counts as not there",
                fold.partition,
                offset,
                exc,
            )
            unreadable.append(offset)
            continue
        part.claim(offset, job)
        if job.status.final:
            rows.append((offset, value))
            ended.append((job.finished_at or 0, offset))
        else:
            rows.append((offset, job))
    for offset in unreadable:
        del fold.rows[offset]
    part.recovered(rows, ended)
    part.places = {n: place for n, place in fold.places.items() if n in fold.rows}
    return part


def _unsaved(fold: Fold, places: Mapping[int, int]) -> Unsaved:
    """What the cache lacks: all, or what was new in the log. Nothing reads the fold behind it."""
    for n, place in places.items():
        fold.rows[n] = with_place(fold.rows[n], place)
    if fold.changed is None:
        return Unsaved(fold.rows, marks=fold.marks.records())
    unsaved = Unsaved()
    marks = fold.marks.records()
    for key in fold.changed:
        offset = row_offset(key, fold.partition)
        if offset is not None:
            unsaved.rows[offset] = fold.rows.get(offset)
        elif key in marks:
            unsaved.marks[key] = marks[key]
    return unsaved
