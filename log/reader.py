"""Slices of topics by place, read in no consumer group.

Reading is stateless: one fetch request says where it starts and its answer says
where the log ends, so that "nothing more there" is the broker's word and never a
timeout's. That is why this speaks the protocol by aiokafka's client instead of
using its consumer, whose ``getmany`` can't tell an empty log from a slow broker.

The end is taken from fetch answers (their high watermark), not from
ListOffsets: Tansu 0.6.0 answers the latter with the last batch's first
offset + 1.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest, FetchRequestStruct
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record import MemoryRecords

from log.access import OPEN, Access
from log.patience import ANSWER_S, answers_within

T = TypeVar("T")

_EARLIEST = -2  # ListOffsets' name for the first offset that is still there
_LATEST = -1  # … and for the end, which one broker reports too small
_LEADER_ONLY = 10  # the last version of Fetch that only a partition's leader answers
_READ_UNCOMMITTED = 0  # as Faust's consumer reads
_RETRY_S = 0.2
_ANSWER_BYTES = 16 * 1024 * 1024  # of all partitions together, about: it has 10 s to arrive
_SHORT_WAIT_MS = 1  # a fetch that finds nothing is answered, not held
_LONG_WAIT_MS = 500
_MOVED = (NotLeaderForPartitionError, LeaderNotAvailableError, UnknownTopicOrPartitionError)


class Record(NamedTuple):
    """One record. ``timestamp`` is epoch milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Slice(NamedTuple):
    """What one fetch gave: ``records`` from the place asked for, ``next`` to go on from
    (past compacted places and transaction markers too), and the log's true ``end``."""

    records: list[Record]
    next: int
    end: int


class FetchFromLeader(FetchRequest):
    """From version 11 on any broker with a copy answers (KIP-392), also one that leads no more
    and that we still take for the leader. Its log ends where the leader's did a while ago; before
    that version it says that it isn't the leader."""

    def prepare(self, versions: dict[int, tuple[int, int]]) -> FetchRequestStruct:
        """The request in the highest version below that."""
        least, most = versions[self.API_KEY]
        return super().prepare({**versions, self.API_KEY: (least, min(most, _LEADER_ONLY))})


class LogReader:
    """Reads topics by place. Safe to use from many tasks at once."""

    def __init__(
        self,
        bootstrap: str,
        *,
        fetch_bytes: int = 4 * 1024 * 1024,
        timeout_s: float = 30.0,
        access: Access = OPEN,
    ) -> None:
        self._bootstrap = bootstrap
        self._access = access
        self._fetch_bytes = fetch_bytes
        self._timeout_s = timeout_s
        self._client: AIOKafkaClient | None = None
        self._opening = asyncio.Lock()
        # topic, partition → the leader that has told us an end since it became one.
        self._settled: dict[tuple[str, int], int] = {}

    async def close(self) -> None:
        """Close the connections; the next read opens them again."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def end(self, topic: str, partition: int) -> int:
        """The place that the next record will get."""
        return (await self.ends(topic, [partition]))[partition]

    async def ends(self, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        """The true end of each partition."""
        reported = await self._retried(
            self._offsets_once, topic, dict.fromkeys(partitions, _LATEST)
        )
        slices = await self.fetch(topic, reported, limit=1)
        return {p: part.end for p, part in slices.items()}

    async def start(self, topic: str, partition: int) -> int:
        """The first place that is still there."""
        return (await self.starts(topic, [partition]))[partition]

    async def starts(self, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        """The first place of each partition that is still there."""
        return await self._retried(self._offsets_once, topic, dict.fromkeys(partitions, _EARLIEST))

    async def fetch(
        self, topic: str, starts: Mapping[int, int], *, limit: int | None = None
    ) -> dict[int, Slice]:
        """One step of reading, for several partitions together.

        Args:
            starts: partition → place to read from. A place before the log's start is moved
                up to it; one beyond the end gives an empty slice with that end.
            limit: how many records of each partition are wanted at the most.
        """
        once = partial(self._fetch_once, limit=limit)
        return await self._retried(once, topic, starts)

    async def scan(self, topic: str, starts: Mapping[int, int]) -> AsyncIterator[dict[int, Slice]]:
        """Read each partition from its start to its true end, a step at a time.

        The end is where a fetch finds nothing more; what is appended meanwhile is read too.
        """
        places = dict(starts)
        while places:
            # Some of them are enough for a step, so that no more is held than one answer.
            step = await self._retried(self._step, topic, places)
            for p, part in step.items():
                if part.next >= part.end:
                    del places[p]
                else:
                    places[p] = part.next
            yield step

    async def read(self, topic: str, partition: int, start: int, stop: int) -> list[Record]:
        """The records in ``[start, stop)`` that exist."""
        found: list[Record] = []
        place = start
        while place < stop:
            part = await self._at(topic, partition, place, stop - place)
            found.extend(r for r in part.records if r.offset < stop)
            if part.next <= place:
                break
            place = part.next
        return found

    async def record(self, topic: str, partition: int, offset: int) -> Record | None:
        """The record at one place, or ``None`` where there is none (any more, or yet)."""
        part = await self._at(topic, partition, offset, 1)
        first = part.records[0] if part.records else None
        return first if first is not None and first.offset == offset else None

    async def since(self, topic: str, partition: int, at_ms: int, near: int = 200) -> int:
        """A place before the first record that isn't older than ``at_ms`` (epoch milliseconds) by
        its own timestamp, ``near`` places at the most; by halving, as many reads as that needs.
        """
        low = await self.start(topic, partition)
        high = await self.end(topic, partition)
        while high - low > near:
            middle = (low + high) // 2
            part = (await self.fetch(topic, {partition: middle}, limit=1))[partition]
            first = part.records[0] if part.records else None
            if first is None or first.offset >= high or first.timestamp >= at_ms:
                high = middle
            else:
                low = first.offset + 1
        return low

    async def _at(self, topic: str, partition: int, place: int, limit: int) -> Slice:
        """A slice of a place where there should be records: asked again if the log seems to end
        before it."""
        part = (await self.fetch(topic, {partition: place}, limit=limit))[partition]
        if part.end <= place < await self.end(topic, partition):
            part = (await self.fetch(topic, {partition: place}, limit=limit))[partition]
        return part

    async def _fetch_once(
        self, topic: str, starts: Mapping[int, int], *, limit: int | None
    ) -> dict[int, Slice]:
        found: dict[int, Slice] = {}
        while left := {p: place for p, place in starts.items() if p not in found}:
            found |= await self._step(topic, left, limit=limit)
        return found

    async def _step(
        self, topic: str, starts: Mapping[int, int], *, limit: int | None = None
    ) -> dict[int, Slice]:
        """One request to each leader: the slices of those partitions that got an answer, which
        may be only some. An answer is limited in bytes, and a broker fills it from the first.

        Raises:
            LeaderNotAvailableError: none got one.
        """
        for wait_ms in (_SHORT_WAIT_MS, _LONG_WAIT_MS):
            found = await self._request(topic, starts, limit, wait_ms)
            # Nothing, though the log goes on: the broker had no room or no time for it (Tansu
            # does so within a short wait). It is never taken for an end.
            got = {
                p: part
                for p, part in found.items()
                if part.next > starts[p] or part.next >= part.end
            }
            if got:
                return got
        raise LeaderNotAvailableError(f"no answer for {topic} {sorted(starts)}")

    async def _request(
        self, topic: str, starts: Mapping[int, int], limit: int | None, wait_ms: int
    ) -> dict[int, Slice]:
        client = await self._connected(topic)
        max_bytes = 1 if limit == 1 else self._fetch_bytes  # a broker sends one batch at least
        by_leader: dict[int, list[int]] = defaultdict(list)
        for p in starts:
            by_leader[_leader(client, topic, p)].append(p)
        await self._settle(topic, by_leader)
        found: dict[int, Slice] = {}
        late: list[int] = []
        for node, partitions in by_leader.items():
            request = FetchFromLeader(
                wait_ms,
                1,
                # Tansu knows only the limit of all together.
                max_bytes if len(partitions) == 1 else _ANSWER_BYTES,
                _READ_UNCOMMITTED,
                [(topic, [(p, starts[p], max_bytes) for p in partitions])],
            )
            answer = await client.send(node, request)
            for _, parts in answer.topics:
                for p, code, end, *rest in parts:
                    error = for_code(code)
                    if error is OffsetOutOfRangeError:
                        late.append(p)
                    elif code:
                        raise error(f"reading {topic}-{p} at {starts[p]}")
                    else:
                        found[p] = _slice(starts[p], end, rest[-1], limit)
        for p in late:
            found[p] = await self._out_of_range(topic, p, starts[p], limit)
        return found

    async def _settle(self, topic: str, by_leader: Mapping[int, Sequence[int]]) -> None:
        """Until leaders that are new know how far their logs go.

        The fetch answers of a leader that was just elected have a high watermark that lags, as if
        records that are acknowledged weren't there. ListOffsets is refused until it doesn't.
        """
        leaders = {p: node for node, partitions in by_leader.items() for p in partitions}
        fresh = {p: n for p, n in leaders.items() if self._settled.get((topic, p)) != n}
        if fresh:
            await self._offsets_once(topic, dict.fromkeys(fresh, _LATEST))
            self._settled.update({(topic, p): node for p, node in fresh.items()})

    async def _out_of_range(self, topic: str, p: int, place: int, limit: int | None) -> Slice:
        """A place before the log's start is moved up to it; one beyond its end is empty."""
        start = (await self._offsets_once(topic, {p: _EARLIEST}))[p]
        part = (await self._fetch_once(topic, {p: start}, limit=limit))[p]
        return part if place < start else Slice([], place, part.end)

    async def _offsets_once(self, topic: str, wanted: Mapping[int, int]) -> dict[int, int]:
        """ListOffsets: partition → ``_EARLIEST`` or ``_LATEST``."""
        client = await self._connected(topic)
        by_leader: dict[int, list[int]] = defaultdict(list)
        for p in wanted:
            by_leader[_leader(client, topic, p)].append(p)
        found: dict[int, int] = {}
        for node, asked in by_leader.items():
            request = OffsetRequest(
                -1, _READ_UNCOMMITTED, [(topic, [(p, wanted[p]) for p in asked])]
            )
            answer = await client.send(node, request)
            for _, parts in answer.topics:
                for p, code, *_, offset in parts:
                    if code:
                        raise for_code(code)(f"asking for the ends of {topic}-{p}")
                    found[p] = offset
        return found

    async def _retried(
        self,
        call: Callable[[str, Mapping[int, int]], Awaitable[dict[int, T]]],
        topic: str,
        places: Mapping[int, int],
    ) -> dict[int, T]:
        """Retry what a moved leader or a lost connection broke, until ``timeout_s``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        while True:
            try:
                return await call(topic, places)
            except KafkaError as exc:
                self._settled.clear()  # it may come back as a leader that is new
                if not getattr(exc, "retriable", False) or loop.time() >= deadline:
                    raise
                if isinstance(exc, _MOVED) and self._client is not None:
                    await self._client.force_metadata_update()
            await asyncio.sleep(_RETRY_S)

    async def _connected(self, topic: str) -> AIOKafkaClient:
        async with self._opening:
            if self._client is None:
                client = AIOKafkaClient(bootstrap_servers=self._bootstrap, **self._access.options())
                answers_within(client, ANSWER_S)
                try:
                    await client.bootstrap()
                except BaseException:
                    await client.close()
                    raise
                self._client = client
            client = self._client
        await client.add_topic(topic)
        return client


def _leader(client: AIOKafkaClient, topic: str, partition: int) -> int:
    leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
    if leader is None:
        raise UnknownTopicOrPartitionError(f"{topic}-{partition} is not known to the broker")
    if leader == -1:
        raise LeaderNotAvailableError(f"{topic}-{partition} has no leader now")
    return int(leader)


def _slice(start: int, end: int, data: bytes, limit: int | None) -> Slice:
    records: list[Record] = []
    place = start
    batches = MemoryRecords(data)
    while batches.has_next():
        batch = batches.next_batch()
        if not batch.is_control_batch:
            for r in batch:
                if r.offset < start:  # a batch is sent whole, from its own first offset
                    continue
                records.append(Record(r.offset, r.timestamp, r.key, r.value, r.headers))
                if len(records) == limit:
                    return Slice(records, r.offset + 1, end)
        # A compacted batch keeps its last offset though the last records are gone.
        place = max(place, batch.next_offset)
    return Slice(records, place, end)
