"""The end of the changelog, read once for all who listen at this worker.

It is read while somebody listens, and no longer. Every listener is told the same transitions in
the same order; one that comes with a cursor first reads what it has missed by itself, up to where
the others are, and then goes on with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError

from inspection.transitions import KNOWN, Teller
from log.reader import LogReader, Record, Slice
from web.cursor import MAX_PARTITIONS, encode, line
from web.listener import RECOVERED, Event, Listener, problem
from web.parts import Parts
from web.problems import Unavailable

logger = logging.getLogger(__name__)

STEP = 500  # records of a partition in one read
POLL_S = 0.1  # between reads that find nothing
READ_S = 3.0
AGAIN_S = 1.0  # after Kafka couldn't be read
_GONE = (
    "Kafka has compacted away some transitions since that Last-Event-ID (see JOBS_HISTORY): "
    "ask for the jobs themselves; what is still there follows"
)
_BEYOND = (
    "the changelog ends before that Last-Event-ID: it was made again, or it is another one. "
    "What happens next follows"
)
_TROUBLE = "Kafka can't be read now; it is tried again"
_AGAIN = "the changelog was made again; what happens next follows"


class Tail:
    """Follows the changelog for those who listen."""

    def __init__(self, reader: LogReader, changelog: str, partitions: Callable[[], int]) -> None:
        self._reader = reader
        self._changelog = changelog
        self._partitions = partitions
        self._users = 0
        self._task: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._listeners: set[Listener] = set()
        self._places: list[int] = []  # up to where all listeners have been told
        self._tellers: list[Teller] = []
        self._trouble = False
        self._closed = False

    @classmethod
    def of(cls, parts: Parts) -> Tail:
        """Of a worker."""
        return cls(parts.tail_reader, parts.names.changelog, lambda: parts.lifecycle.partitions)

    @property
    def cursor(self) -> str:
        """Up to where all listeners have been told."""
        return encode(self._places)

    def close(self) -> None:
        """The worker stops: all streams end, and none begins."""
        self._closed = True
        for listener in self._listeners:
            listener.close()
        self._stop()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Let it be read for as long as this lasts.

        Raises:
            Unavailable: Kafka can't be read, or the worker stops.
        """
        if self._closed:
            raise Unavailable("this worker is stopping; ask another one")
        self._users += 1
        if self._task is None:
            self._begun.clear()
            self._task = asyncio.create_task(self._run())
        try:
            try:
                async with asyncio.timeout(READ_S):
                    await self._begun.wait()
            except TimeoutError:
                raise Unavailable("Kafka can't be read now; try again") from None
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._stop()

    @contextlib.contextmanager
    def told(self, listener: Listener) -> Iterator[None]:
        """Whatever comes next is offered to a listener, once it is in ``join`` or ``catch_up``."""
        try:
            yield
        finally:
            self._listeners.discard(listener)

    def join(self, listener: Listener) -> None:
        """Tell a listener what happens from now on."""
        if self._closed:
            listener.close()
        self._listeners.add(listener)
        if self._trouble:
            listener.tell(problem(_TROUBLE))

    async def catch_up(
        self, listener: Listener, after: Sequence[int]
    ) -> AsyncGenerator[bytes, None]:
        """What a listener has missed since a cursor; at its end it has joined.

        Raises:
            KafkaError, TimeoutError: the changelog can't be read.
        """
        async with asyncio.timeout(READ_S):
            ends = await self._reader.ends(self._changelog, range(len(after)))
        if any(place > ends[p] for p, place in enumerate(after)):
            self.join(listener)
            yield problem(_BEYOND) + line(self.cursor) + b"\n"
            return
        self._widen()
        places, tellers = list(after), [Teller(p) for p in range(len(after))]
        await self._prime(tellers, after)
        complete = True
        while not self._closed:
            for p in range(len(places), len(self._places)):
                places.append(0)
                tellers.append(Teller(p))
            todo = {p: at for p, at in enumerate(places) if at < self._places[p]}
            steps = await self._read(todo) if todo else {}
            chunk = []
            for p, step in steps.items():
                stop = self._places[p]  # what comes from there on is told to all
                some = [r for r in step.records if r.offset < stop]
                until = min(step.next, stop)
                if complete and len(some) < until - places[p]:
                    complete = False
                    chunk.append(problem(_GONE))
                events = _events(tellers[p], some, places, until)
                chunk += [event.encoded() for event in events if listener.wants(event)]
            # No await between this look and the joining.
            joined = places == self._places
            if joined:
                self.join(listener)
            if chunk:
                yield b"".join(chunk)
            if joined:
                return
            if not todo:  # told by a worker that is quicker than ours
                await asyncio.sleep(POLL_S)
        self.join(listener)  # to be closed

    async def _run(self) -> None:
        begun = False
        try:
            while True:
                try:
                    if not begun:
                        async with asyncio.timeout(READ_S):
                            await self._begin()
                        begun = True
                        self._begun.set()
                    self._widen()
                    moved = await self._step()
                    if self._trouble:
                        self._trouble = False
                        self._tell(RECOVERED)
                except (TimeoutError, KafkaError) as exc:
                    if not self._trouble:
                        logger.warning("events wait for Kafka: %r", exc)
                        self._tell(problem(_TROUBLE))
                    self._trouble = True
                    await asyncio.sleep(AGAIN_S)
                    continue
                except Exception:
                    logger.exception("events can't be read; please report this")
                    await asyncio.sleep(AGAIN_S)
                    continue
                if moved is None:
                    self._tell(problem(_AGAIN))
                    begun = False
                elif not moved:
                    await asyncio.sleep(POLL_S)
        finally:
            if self._task is None:  # nobody has come meanwhile
                await self._reader.close()

    def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _begin(self) -> None:
        """Where it ends now, and under which fences that is."""
        count = self._partitions()
        ends = await self._reader.ends(self._changelog, range(count))
        tellers = [Teller(p) for p in range(count)]
        places = [ends[p] for p in range(count)]
        await self._prime(tellers, places)
        self._tellers, self._places = tellers, places

    def _widen(self) -> None:
        """Follow partitions that have been added, from their start."""
        for p in range(len(self._places), self._partitions()):
            self._places.append(0)
            self._tellers.append(Teller(p))

    async def _prime(self, tellers: Sequence[Teller], places: Sequence[int]) -> None:
        """Let tellers read what stands before their places, and tell nothing of it."""
        left = {p: max(0, place - KNOWN) for p, place in enumerate(places) if place}
        while left:
            steps = await self._read(left)
            for p, step in steps.items():
                for _ in tellers[p].tell(r for r in step.records if r.offset < places[p]):
                    pass
                left[p] = step.next
            left = {p: at for p, at in left.items() if at < min(places[p], steps[p].end)}

    async def _step(self) -> bool | None:
        """Tell what is new; whether there was anything. ``None``: the log is another one."""
        steps = await self._read(dict(enumerate(self._places)))
        if any(step.end < self._places[p] for p, step in steps.items()):
            # A leader that was just elected may not know its end yet.
            async with asyncio.timeout(READ_S):
                ends = await self._reader.ends(self._changelog, list(steps))
            return None if any(end < self._places[p] for p, end in ends.items()) else False
        moved = False
        # No await from here on: a listener that joins knows what it has been told.
        for p, step in steps.items():
            moved = moved or step.next > self._places[p]
            events = list(_events(self._tellers[p], step.records, self._places, step.next))
            if events:
                for listener in self._listeners:
                    listener.offer(events)
        return moved

    async def _read(self, places: Mapping[int, int]) -> dict[int, Slice]:
        async with asyncio.timeout(READ_S):
            return await self._reader.fetch(self._changelog, places, limit=STEP)

    def _tell(self, text: bytes) -> None:
        for listener in self._listeners:
            listener.tell(text)


def _events(
    teller: Teller, records: Iterable[Record], places: list[int], until: int
) -> Iterator[Event]:
    """The events of a partition's records; ``places`` move along, and end at ``until``."""
    texts = [str(place) for place in places] if len(places) <= MAX_PARTITIONS else None
    p = teller.partition
    for transition in teller.tell(records):
        places[p] = transition.place + 1
        cursor = ""
        if texts is not None:
            texts[p] = str(places[p])
            cursor = ".".join(texts)
        yield Event(transition, cursor)
    places[p] = until
