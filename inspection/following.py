"""Transitions as they happen, from the end of the changelog on."""

from __future__ import annotations

from collections.abc import Sequence

from inspection.slices import SKEW_MS
from inspection.transitions import KNOWN, Teller, Transition
from log.reader import LogReader

STEP = 500  # records of a partition in one read


class Following:
    """Where somebody is in each partition of the changelog."""

    def __init__(self, reader: LogReader, changelog: str, since: int | None = None) -> None:
        """``since``: tell what has happened from this time on, too (epoch ms)."""
        self._reader = reader
        self._changelog = changelog
        self._since = since
        self._places: dict[int, int] = {}
        self._tellers: dict[int, Teller] = {}

    async def begin(self, partitions: Sequence[int], *, new: bool = False) -> None:
        """Follow these partitions, besides those that are followed. Of a ``new`` one nothing has
        been missed yet.

        Raises:
            KafkaError: they can't be read.
        """
        numbers = [p for p in partitions if p not in self._places]
        if not numbers:
            return
        if new:
            starts = await self._reader.starts(self._changelog, numbers)
        else:
            starts = await self._reader.ends(self._changelog, numbers)
            if self._since is not None:
                for p in numbers:
                    at = self._since - SKEW_MS
                    starts[p] = await self._reader.since(self._changelog, p, at)
        tellers = {p: Teller(p) for p in numbers}
        for p, teller in tellers.items():
            # What stands before tells whose rows count, and what has been told.
            first = max(0, starts[p] - KNOWN)
            known = await self._reader.read(self._changelog, p, first, starts[p])
            for _ in teller.tell(known):
                pass
        self._tellers |= tellers
        self._places |= starts

    async def step(self) -> tuple[list[Transition], bool]:
        """What is new, by time, and whether there is more. One partition's is in its order.

        Raises:
            KafkaError: it can't be read.
        """
        steps = await self._reader.fetch(self._changelog, self._places, limit=STEP)
        found: list[Transition] = []
        more = False
        for p, part in steps.items():
            found += self._tellers[p].tell(part.records)
            if part.end < self._places[p] and await self._made_again(p):
                self._places[p], self._tellers[p] = 0, Teller(p)
                more = True
                continue
            self._places[p] = max(self._places[p], part.next)
            more = more or part.next < part.end
        if self._since is not None:
            found = [each for each in found if each.at >= (self._since or 0)]
        return sorted(found, key=lambda each: each.at), more

    async def _made_again(self, p: int) -> bool:
        # A leader that was just elected may not know its end yet.
        return await self._reader.end(self._changelog, p) < self._places[p]
