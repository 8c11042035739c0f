"""A copy of the rows beside the changelog, so that the next start reads only what is new there.

Rows live in memory and in Kafka; the copy is written behind them, about each second, and is never
trusted more than the log (``tables.trust``). One write holds what has changed and the place up to
which that is all, so a ``kill -9`` leaves a partition as it stood at some moment.

Whatever goes wrong with it stops no job: the copy is thrown away, and the next start reads all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast

from log.reader import LogReader, Slice
from tables.fold import Fold
from tables.partition import Partition, Unsaved
from tables.places import split_places
from tables.rocks import Rocks, StoreLocked, StoreMissing, remove
from tables.trust import Kept, decode, doubt, encode, too_old

T = TypeVar("T")

logger = logging.getLogger(__name__)

REFRESH_MS = 60_000  # what is known of a partition is written anew after this time at the latest
DAY_MS = 86_400_000


class Cache:
    """The copy of one worker; with no folder it keeps nothing, and knows nothing."""

    def __init__(self, folder: Path | None, clock: Callable[[], int]) -> None:
        """``clock``: the wall clock, epoch milliseconds."""
        self._folder = folder
        self._clock = clock
        self._rocks: Rocks | None = None
        self._written: dict[int, Kept] = {}
        # One thread: what is asked of the store is done in the order in which it was asked.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self.max_age_ms = DAY_MS // 2

    @property
    def on(self) -> bool:
        """Whether anything is kept (still)."""
        return self._rocks is not None

    async def open(self) -> None:
        """Open it, when the worker starts.

        Raises:
            StoreMissing: the library isn't installed.
            StoreLocked: another worker has the folder.
        """
        folder = self._folder
        if folder is None:
            return
        try:
            self._rocks = await self._run(lambda: _opened(folder))
        except (StoreMissing, StoreLocked):
            raise
        except BaseException as exc:
            self._give_up(exc)

    async def begin(self, numbers: Sequence[int], reader: LogReader, changelog: str) -> list[Fold]:
        """Where to read on in these partitions: from what is kept, if the changelog bears it
        out, else from nothing.

        Raises:
            KafkaError: the changelog can't be read.
        """
        known = await self._known() if self.on else {}
        places = {n: known[n].owned_at for n in numbers if n in known}
        found = await reader.fetch(changelog, places, limit=1) if places else {}
        folds = []
        for n in numbers:
            fold = await self._load(n, known[n], found[n]) if n in found else None
            folds.append(fold or Fold(n))
        return folds

    async def _known(self) -> dict[int, Kept]:
        """What is known, by partition. What is too old to be of use is removed."""
        values = await self._asked(lambda rocks: rocks.known()) or {}
        known: dict[int, Kept] = {}
        for n, value in values.items():
            kept = decode(value)
            if kept is None or too_old(kept, self._clock(), self.max_age_ms):
                await self._forget(n)
            else:
                known[n] = kept
        return known

    async def _load(self, number: int, kept: Kept, found: Slice) -> Fold | None:
        """The partition as it stood; ``None``: it doesn't count."""
        why = doubt(kept, found, self._clock(), self.max_age_ms)
        if why is not None:
            logger.info("partition %d: what is kept of it isn't used: %s", number, why)
            await self._forget(number)
            return None
        read = await self._asked(lambda rocks: rocks.read(number))
        if read is None:
            return None
        value, rows, marks = read
        if decode(value) != kept or len(rows) != kept.rows:
            logger.warning("partition %d: rows are missing in the store; it isn't used", number)
            await self._forget(number)
            return None
        fold = Fold(number, kept.fence, kept.released, rows, next=kept.next, seq=kept.seq)
        fold.owned = (kept.owned_at, kept.owned_time)
        fold.places = split_places(rows)
        for key, mark in marks.items():
            fold.marks.take(key, mark)
        fold.changed = set()
        self._written[number] = kept
        return fold

    async def _forget(self, number: int) -> None:
        self._written.pop(number, None)
        await self._asked(lambda rocks: rocks.clear(number))

    async def flush(self, parts: Iterable[Partition]) -> None:
        """Write what has changed in these partitions, which are ours."""
        known: dict[int, bytes] = {}
        whole: dict[int, Mapping[int, bytes]] = {}
        rows: dict[int, Mapping[int, bytes | None]] = {}
        marks: dict[int, Mapping[bytes, bytes]] = {}
        # No await in this loop: rows, marks and the place are those of one moment.
        for part in parts:
            if not self.on:
                part.unsaved = None
            kept = self._as_it_stands(part)
            if kept is None:
                continue
            n, unsaved = part.number, cast(Unsaved, part.unsaved)
            part.unsaved = Unsaved()
            self._written[n], known[n] = kept, encode(kept)
            rows[n], marks[n] = unsaved.rows, unsaved.marks
            if unsaved.whole is not None:
                whole[n] = unsaved.whole

        def write(rocks: Rocks) -> None:
            for n, all_rows in whole.items():
                rocks.replace(n, ((offset, all_rows[offset]) for offset in sorted(all_rows)))
            rocks.write(known, rows, marks)

        if known:
            await self._asked(write)

    async def close(self) -> None:
        """Close it, when the worker stops; what was asked for is written first."""
        await self._asked(lambda rocks: rocks.close())
        self._rocks = None
        self._thread.shutdown(wait=False)

    def _as_it_stands(self, part: Partition) -> Kept | None:
        """What is to be written of a partition; ``None``: nothing new, or it is in doubt."""
        if part.unsaved is None or part.owned is None or not part.settled:
            return None
        owned_at, owned_time = part.owned
        kept = Kept(
            part.cursor,
            part.fence,
            part.released,
            owned_at,
            owned_time,
            len(part.rows),
            self._clock(),
            part.last_seq,
        )
        last = self._written.get(part.number)
        # A row or a mark that is new has moved the place, too.
        same = last is not None and (last.next, last.fence) == (kept.next, kept.fence)
        if same and last is not None and 0 <= kept.at - last.at < REFRESH_MS:
            return None
        return kept

    async def _asked(self, job: Callable[[Rocks], T]) -> T | None:
        rocks = self._rocks
        if rocks is None:
            return None
        try:
            return await self._run(lambda: job(rocks))
        except asyncio.CancelledError:
            raise
        except BaseException as exc:  # a panic of the library is no Exception
            self._give_up(exc)
            return None

    async def _run(self, job: Callable[[], T]) -> T:
        running = asyncio.get_running_loop().run_in_executor(self._thread, job)
        return await asyncio.shield(running)

    def _give_up(self, exc: BaseException) -> None:
        rocks, self._rocks = self._rocks, None
        self._written.clear()
        logger.warning(
            "the store in %s can't be used (%s): going on without it; jobs are safe in Kafka, and "
            "the next start reads the whole changelog",
            self._folder,
            exc,
        )
        if self._folder is not None:
            self._thread.submit(_removed, rocks, self._folder)


def _opened(folder: Path) -> Rocks:
    try:
        return Rocks(folder)
    except (StoreMissing, StoreLocked):
        raise
    except Exception:
        if not (folder / "CURRENT").exists():
            raise
        logger.warning("the store in %s is damaged: it is made anew", folder)
        remove(folder)
        return Rocks(folder)


def _removed(rocks: Rocks | None, folder: Path) -> None:
    try:
        if rocks is not None:
            rocks.close()
    except BaseException:  # nothing more can be done for it
        pass
    remove(folder)
